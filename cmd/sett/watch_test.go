package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// watching runs `sett watch` and waits until it sees everything.
func watching(t *testing.T, args ...string) *process {
	t.Helper()
	p := start(t, append([]string{"watch"}, args...)...)
	t.Cleanup(p.stop)
	p.stderr.await(t, "watching ")
	return p
}

func do(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if got := sett(t, "", words(line)...); got.code != 0 {
			t.Fatalf("sett %s: %s", line, got.stderr)
		}
	}
}

func TestWatch(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	p := watching(t, "--count", "8")
	do(t,
		"kv set config/host 10.0.0.1", "kv set config/host 'a\tb' --ttl 1h", "kv rm config/host",
		"svc register web --address 10.0.0.7 --port 80", "svc register web --id x --address 10.0.0.8 --status warning --note slow",
		"svc rm web x", "batch apply --ops '[{\"op\":\"kv.set\",\"key\":\"a\",\"value\":\"1\"},{\"op\":\"kv.set\",\"key\":\"b\",\"value\":\"2\"}]'",
	)
	if code := p.end(); code != 0 {
		t.Errorf("status %d", code)
	}
	got := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d{3} `).ReplaceAllString(p.stdout.String(), "")
	want := `set config/host = 10.0.0.1 (revision 1)
set config/host = a\tb (revision 2, for 1h)
delete config/host (revision 3)
register web 10.0.0.7:80 (revision 4)
register web x at 10.0.0.8 warning slow (revision 5)
deregister web x (revision 6)
set a = 1 (revision 7)
set b = 2 (revision 8)
`
	if got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
}

func TestWatchFilters(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	all := []struct{ args, want string }{
		{"--count 5 -o json", "config/db/x config/host conf web w2"},
		{"config/ --count 2 -o json", "config/db/x config/host"},
		{"config/h --count 1 -o json", "config/host"},
		{"conf --count 3 -o json", "config/db/x config/host conf"},
		{"--services --count 2 -o json", "web w2"},
		{"web --count 1 -o raw", "web"},
		{"--keys --count 3 -o raw", "config/db/x config/host conf"},
	}
	var running []*process
	for _, w := range all {
		running = append(running, watching(t, words(w.args)...))
	}
	do(t, "kv set config/db/x 1", "kv set config/host 1", "kv set conf 1", "svc register web --id 1", "svc register w2 --id 1")
	for i, p := range running {
		p.end()
		var names []string
		for _, line := range strings.Split(strings.TrimSpace(p.stdout.String()), "\n") {
			var change struct{ Key, Name string }
			if err := json.Unmarshal([]byte(line), &change); err != nil {
				t.Fatalf("%s: %q: %v", all[i].args, line, err)
			}
			names = append(names, change.Key+change.Name)
		}
		if got := strings.Join(names, " "); got != all[i].want {
			t.Errorf("watch %s: %s, want %s", all[i].args, got, all[i].want)
		}
	}
}

// A new epoch, changes that are missing and events that cannot be read are
// told beside the changes.
func TestWatchNotes(t *testing.T) {
	url := plainBroker(t)
	p := watching(t, "-s", url, "--count", "4")
	nc := client(t, url)
	publish := func(subject string, c codec.Change) {
		t.Helper()
		if err := nc.Publish(subject, codec.Append(nil, codec.Msgpack, &c)); err != nil {
			t.Fatal(err)
		}
	}
	publish("kv.changed.a", codec.Change{Op: codec.OpSet, Key: "a", Value: []byte("1"), Revision: 1, Epoch: 7})
	publish("kv.changed.a", codec.Change{Op: codec.OpDelete, Key: "a", Revision: 4, Epoch: 7})
	if err := nc.Publish("kv.changed.a", []byte("nonsense")); err != nil {
		t.Fatal(err)
	}
	publish("store.changed.restored", codec.Change{Op: codec.OpChanged, Reason: codec.ReasonRestored, Revision: 5, Epoch: 8})
	publish("kv.changed.b", codec.Change{Op: codec.OpDelete, Key: "b", Revision: 9, Epoch: 9})
	if code := p.end(); code != 0 {
		t.Errorf("status %d", code)
	}
	if !strings.Contains(p.stdout.String(), "store restored (revision 5)\n") {
		t.Errorf("printed %s", p.stdout)
	}
	for _, want := range []string{"2 changes missed", "cannot be read", "began epoch 8;", "began epoch 9;"} {
		if strings.Count(p.stderr.String(), want) != 1 {
			t.Errorf("not once %q in %s", want, p.stderr)
		}
	}
}

// client is a connection for tests that speak NATS themselves.
func client(t *testing.T, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}
