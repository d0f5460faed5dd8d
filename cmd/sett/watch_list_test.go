package main

import (
	"regexp"
	"strings"
	"testing"
)

// With --list what is there comes first, then a line that says so, then what
// changes.
func TestWatchList(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	do(t, "kv set config/host 1 --ttl 1h", "kv set other 1", "svc register web --id 1 --address 10.0.0.7 --port 80", "kv set config/host 2", "kv set conf 1")
	const mark = "------------- that is there at revision 5; what changes follows\n"
	all := []struct{ args, want string }{
		{"--count 2", "present conf = 1 (revision 5)\npresent config/host = 2 (revision 4)\npresent other = 1 (revision 2)\n" +
			"present web 1 at 10.0.0.7:80 (revision 3)\n" + mark + "set config/new = 3 (revision 6)\nregister web 2 (revision 7)\n"},
		{"config/ --count 1", "present config/host = 2 (revision 4)\n" + mark + "set config/new = 3 (revision 6)\n"},
		{"w --count 1", "present web 1 at 10.0.0.7:80 (revision 3)\n" + mark + "register web 2 (revision 7)\n"},
		{"--services --count 1", "present web 1 at 10.0.0.7:80 (revision 3)\n" + mark + "register web 2 (revision 7)\n"},
		{"none/ --count 1", mark + "set none/x = 1 (revision 8)\n"},
	}
	var running []*process
	for _, w := range all {
		p := watching(t, append(words(w.args), "--list")...)
		p.stdout.await(t, "what changes follows")
		running = append(running, p)
	}
	inJSON := watching(t, "config/", "--list", "-o", "json", "--count", "1")
	inJSON.stdout.await(t, `"op":"loaded"`)
	do(t, "kv set config/new 3", "svc register web --id 2", "kv set none/x 1")
	for i, p := range running {
		if code := p.end(); code != 0 {
			t.Errorf("%s: status %d", all[i].args, code)
		}
		got := regexp.MustCompile(`(?m)^(\d\d:\d\d:\d\d\.\d{3}| {12}) `).ReplaceAllString(p.stdout.String(), "")
		if got != all[i].want {
			t.Errorf("%s: printed\n%swant\n%s", all[i].args, got, all[i].want)
		}
	}
	inJSON.end()
	lines := strings.Split(strings.TrimSpace(inJSON.stdout.String()), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[1], `{"revision":5,"epoch":`) || !strings.Contains(lines[0], `"time_ms":0,"value":"2"`) {
		t.Errorf("printed %q", lines)
	}
}

// What cannot be meant is refused before anything is asked.
func TestWatchFlags(t *testing.T) {
	for args, want := range map[string]string{
		"watch --list --from 3":                   "--list goes with the live feed",
		"watch --epoch 3":                         "--epoch goes with --from",
		"watch --durable ''":                      "--durable wants a name",
		"watch --consumer x":                      "--consumer goes with --from",
		"watch --durable x --from 0 --consumer x": "--consumer goes with --from",
		"watch --from x":                          "--from: ",
		"kv history":                              "KEY is missing",
		"kv history a b":                          "too many arguments",
		"kv history a --limit -1":                 "--limit must not be negative",
	} {
		if got := sett(t, "", words(args)...); got.code != 2 || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: status %d, %s", args, got.code, got.stderr)
		}
	}
	t.Setenv("NATS_URL", serveMemory(t))
	for args, want := range map[string]string{
		"watch --durable a.b":          "consumer: ",
		"watch --from 9":               "the store is only at 0",
		"watch --from 0 --consumer a.": "consumer: ",
		"kv history ''":                "key: must not be empty",
	} {
		if got := sett(t, "", words(args)...); got.code != 2 || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: status %d, %s", args, got.code, got.stderr)
		}
	}
}
