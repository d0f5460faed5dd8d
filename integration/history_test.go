package integration

import (
	"strings"
	"testing"
)

// TestHistory: every change of a key, and of no other.
func TestHistory(t *testing.T) {
	p := serve(t)
	for _, args := range []string{
		"kv set config/host 10.0.0.1", "kv set config/hosts x", "kv set config/host 10.0.0.2 --ttl 1h", "kv rm config/host", "kv set config/host 10.0.0.3",
	} {
		if r := p.sett(strings.Fields(args)...); r.status != 0 {
			t.Fatalf("%s: %s", args, r.err)
		}
	}
	for args, want := range map[string]string{
		"":                     "1 set 10.0.0.1|3 set 1h 10.0.0.2|4 delete|5 set 10.0.0.3",
		"--limit 2":            "4 delete|5 set 10.0.0.3",
		"--reverse --limit 3":  "5 set 10.0.0.3|4 delete|3 set 1h 10.0.0.2",
		"--limit 99 --reverse": "5 set 10.0.0.3|4 delete|3 set 1h 10.0.0.2|1 set 10.0.0.1",
	} {
		r := p.sett(append([]string{"kv", "history", "config/host"}, strings.Fields(args)...)...)
		var rows []string
		for i, line := range strings.Split(strings.TrimSpace(r.out), "\n") {
			fields := strings.Fields(line)
			if i == 0 {
				if strings.Join(fields, " ") != "REVISION TIME OP TTL VALUE" {
					t.Errorf("header %q", line)
				}
				continue
			}
			rows = append(rows, strings.Join(append(fields[:1:1], fields[3:]...), " "))
		}
		if got := strings.Join(rows, "|"); r.status != 0 || got != want || r.err != "" {
			t.Errorf("%s: status %d, %q, want %q; %s", args, r.status, got, want, r.err)
		}
	}
	if r := p.sett("kv", "history", "config/host", "-o", "raw"); r.out != "10.0.0.1\n10.0.0.2\n10.0.0.3\n" {
		t.Errorf("raw: %q", r.out)
	}
	if r := p.sett("kv", "history", "config/host", "-o", "json"); strings.Count(r.out, `"key":"config/host"`) != 4 {
		t.Errorf("json: %s", r.out)
	}
	if r := p.sett("kv", "history", "none"); r.status != 0 || r.out != "" || r.err != "no changes of none\n" {
		t.Errorf("none: %+v", r)
	}
}

// TestHistoryTrimmed: it says where the feed begins.
func TestHistoryTrimmed(t *testing.T) {
	p := serve(t, "--feed-max-bytes", "1MiB")
	nc := p.connect()
	set(t, nc, "config/a", "1")
	fillBeyond(t, nc)
	set(t, nc, "config/a", "2")
	r := p.sett("kv", "history", "config/a", "-o", "raw")
	if r.status != 0 || r.out != "2\n" || !strings.HasPrefix(r.err, "the feed begins at revision ") {
		t.Errorf("%+v", r)
	}
}

// TestHistoryLive: a live feed keeps none, and the error says what to do.
func TestHistoryLive(t *testing.T) {
	p := serve(t, "--feed", "live")
	set(t, p.connect(), "a", "1")
	for _, args := range []string{"kv history a", "watch --from 0"} {
		r := p.sett(strings.Fields(args)...)
		if r.status != 6 || !strings.Contains(r.err, "there is no stream SETT_CHANGES") || !strings.Contains(r.err, "--feed durable") {
			t.Errorf("%s: %+v", args, r)
		}
	}
}
