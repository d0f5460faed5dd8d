package integration

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommandLine is a session of a new user, with exit codes: cmd/sett tests
// its commands one by one, this is the binary.
func TestCommandLine(t *testing.T) {
	p := serve(t)
	file := valueFile(t, "from a file\n")
	for _, c := range []struct {
		args   string // separated by blanks
		stdin  string
		status int
		out    string // exactly, or a part where it begins with "~"
	}{
		{args: "kv set config/host 10.0.0.1", out: "~revision 1"},
		{args: "kv get config/host", out: "10.0.0.1"},
		{args: "-o raw kv get config/host", out: "10.0.0.1"},
		{args: "kv set config/host x --create", status: 4},
		{args: "kv set config/host x --if-revision 7", status: 4},
		{args: "kv set config/host 10.0.0.2 --if-revision 1 -q", out: ""},
		{args: "put config/file @" + file, status: 2}, // there is no such command
		{args: "kv put config/file @" + file, out: "~config/file"},
		{args: "kv get config/file", out: "from a file\n"},
		{args: "kv set config/in -", stdin: "a\x00b", out: "~config/in"},
		{args: "kv get config/in", out: "a\x00b"},
		{args: "kv get none", status: 3},
		{args: "kv get", status: 2},
		{args: "kv set only-a-key", status: 2},
		{args: "kv nope", status: 2},
		{args: "--nope", status: 2},
		{args: "kv set k v --ttl soon", status: 2},
		{args: "kv set k v --ttl 5ms", status: 2},
		{args: "kv set k v --ttl 1h", out: "~k"},
		{args: "kv touch k --ttl 2h", out: "~k"},
		{args: "kv touch none", status: 3},
		{args: "kv increment n --by 41", out: "~41"},
		{args: "kv ls config/ --values", out: "~10.0.0.2"},
		{args: "kv list --tree", out: "~config/"},
		{args: "kv rm config/in", out: "~config/in"},
		{args: "kv delete config/in", out: "~config/in"},
		{args: "kv delete --prefix config/ --dry-run", out: "~config/host"},
		{args: "kv get config/host", out: "10.0.0.2"},
		{args: "kv delete --prefix config/ --yes", out: "~2"},
		{args: "svc register web --address 10.0.0.5 --port 8080 --tag a --meta zone=x --ttl 1h", out: "~10.0.0.5:8080"},
		{args: "svc get web", out: "~10.0.0.5:8080"},
		{args: "svc list", out: "~web"},
		{args: "svc heartbeat web 10.0.0.5:8080 --status warning", out: "~web"},
		{args: "svc heartbeat web none", status: 3},
		{args: "svc deregister web 10.0.0.5:8080", out: "~web"},
		{args: "svc deregister web 10.0.0.5:8080", out: "~web"},
		{args: "batch apply -", stdin: `{"ops":[{"op":"kv.set","key":"b1","value":"1"},{"op":"kv.set","key":"b2","value":"1"}]}`, out: "~b1"},
		{args: "batch apply -", stdin: `{"ops":[{"op":"kv.set","key":"b1","value":"2"}],"if":[{"key":"b2","revision":0}]}`, status: 4},
		{args: "batch apply -", stdin: `{"ops":`, status: 2},
		{args: "status", out: "~revision"},
		{args: "subject config.host", out: "config%2Ehost\n"},
		{args: "version", out: "~sett"},
	} {
		all := append([]string{"-s", p.url}, strings.Fields(c.args)...)
		r := command(t, strings.NewReader(c.stdin), all...)
		part, isPart := strings.CutPrefix(c.out, "~")
		switch {
		case r.status != c.status:
			t.Errorf("sett %s: status %d, not %d: %s%s", c.args, r.status, c.status, r.out, r.err)
		case c.status != 0 && r.err == "":
			t.Errorf("sett %s fails without a word", c.args)
		case c.status == 0 && isPart && !strings.Contains(r.out, part), c.status == 0 && !isPart && r.out != c.out:
			t.Errorf("sett %s prints %q, not %q", c.args, r.out, c.out)
		}
	}
	if value, _, _ := get(t, p.connect(), "b1"); value != "1" {
		t.Errorf("b1 is %q", value)
	}
}

// valueFile writes a file that is there as long as the test.
func valueFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestCommandLineInJSON prints each wire reply as one line, errors too.
func TestCommandLineInJSON(t *testing.T) {
	p := serve(t)
	for _, c := range []struct {
		args   []string
		status int
		want   obj
	}{
		{[]string{"kv", "set", "a", "1"}, 0, obj{"revision": 1, "created": true}},
		{[]string{"kv", "get", "a"}, 0, obj{"key": "a", "value": "1", "revision": 1, "created_revision": 1}},
		{[]string{"kv", "set", "a", "1", "--create"}, 4, obj{"code": "conflict", "message": matcher(text), "temporary": false, "key": "a", "revision": 1}},
		{[]string{"svc", "get", "web"}, 0, obj{"instances": list{}}},
	} {
		r := p.sett(append(c.args, "-o", "json")...)
		got, err := decode([]byte(r.out))
		if err != nil || r.status != c.status || strings.Count(r.out, "\n") != 1 {
			t.Errorf("sett %v: status %d: %v: %q %s", c.args, r.status, err, r.out, r.err)
			continue
		}
		c.want["store_revision"], c.want["epoch"] = matcher(number), matcher(number)
		if err := match(got, c.want, nil); err != nil {
			t.Errorf("sett %v: %v in %s", c.args, err, r.out)
		}
	}
}

// TestCommandLineWithoutStore tells the difference between no broker and no
// store.
func TestCommandLineWithoutStore(t *testing.T) {
	b := startBroker(t)
	for _, url := range []string{b.url, "nats://" + freeAddress(t)} {
		for _, args := range [][]string{{"kv", "get", "a"}, {"kv", "set", "a", "1"}, {"status"}} {
			r := command(t, nil, append([]string{"-s", url, "--timeout", "2s"}, args...)...)
			if r.status != 6 || !strings.Contains(r.err, "sett serve") {
				t.Errorf("sett %v on %s: status %d: %s", args, url, r.status, r.err)
			}
		}
	}
}

// errStillRuns says that a process has not ended yet.
var errStillRuns = errors.New("it still runs")

// TestWatch prints the changes that happen after it has begun.
func TestWatch(t *testing.T) {
	p := serve(t)
	watch := exec.Command(binary(t), "-s", p.url, "watch", "config/", "-o", "json", "--count", "2")
	var out strings.Builder
	watch.Stdout = &out
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- watch.Wait() }()
	t.Cleanup(func() { watch.Process.Kill() })
	nc := p.connect()
	eventually(t, patience, func() error { // it subscribes at some time
		set(t, nc, "other", "1")
		set(t, nc, "config/a", "1")
		select {
		case err := <-ended:
			ended <- err
			return nil
		default:
			return errStillRuns
		}
	})
	if err := <-ended; err != nil {
		t.Errorf("sett watch: %v", err)
	}
	for line := range strings.Lines(out.String()) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Key != "config/a" || e.Op != "set" || e.Value != "1" {
			t.Errorf("sett watch prints %q (%v)", line, err)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("sett watch --count 2 prints %d lines", n)
	}
}
