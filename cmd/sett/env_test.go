package main

import (
	"slices"
	"strings"
	"testing"
)

func TestEnvironment(t *testing.T) {
	values := func(pairs ...string) map[string][]byte {
		m := make(map[string][]byte)
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = []byte(pairs[i+1])
		}
		return m
	}
	for _, c := range []struct {
		prefix  string
		values  map[string][]byte
		want    []string
		wantErr string
	}{
		{"config/", values(), nil, ""},
		{"config/", values("config/db/host", "h", "config/A-b.ü", "x=y", "config/1", ""), []string{"1=", "A_B___=x=y", "DB_HOST=h"}, ""},
		{"", values("a/b", "1"), []string{"A_B=1"}, ""},
		{"c/", values("c/a/b", "1", "c/a_b", "2"), nil, `the keys "c/a/b" and "c/a_b" are both the variable A_B`},
		{"c/", values("c/a", "1\x00"), nil, `the value of the key "c/a" has a NUL byte`},
		{"c/", values("c/", "1"), nil, `the key "c/" leaves no name`},
	} {
		got, err := environment(c.prefix, c.values)
		slices.Sort(got)
		if !slices.Equal(got, c.want) || (err == nil) != (c.wantErr == "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
			t.Errorf("%v: %q, %v", c.values, got, err)
		}
	}
}

func TestEnv(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	t.Setenv("DB_PORT", "1")
	do(t, "kv set config/db/host 10.0.0.1", "kv set config/db/port 2", "kv set configuration 3", "kv set bad/a/b 1", "kv set bad/a-b 2")
	for _, s := range []step{
		{args: `env config/ -- sh -c 'echo $DB_HOST $DB_PORT; env | grep -c URATION; exit 4'`, code: 4, stdout: "10.0.0.1 2\n0\n"},
		{args: `env config -- sh -c 'echo $DB_HOST'`, stdout: "10.0.0.1\n"},
		{args: `env '' -- true`, code: 1, stderr: "~are both the variable BAD_A_B"},
		{args: `env bad --restart-on-change -- true`, code: 1, stderr: "~are both"},
		{args: `env none -- sh -c 'echo runs'`, stdout: "runs\n"},
		{args: `env none --restart-on-change -- sh -c 'echo runs; exit 3'`, code: 3, stdout: "runs\n"},
		{args: "env config -- no-such-command", code: exitNoCommand, stderr: "~cannot run"},
		{args: "env config", code: 2, stderr: "~-- is missing"},
		{args: "env / -- true", code: 2, stderr: "~PREFIX"},
		{args: "env a --subject-prefix other -- true", code: 6, stderr: "~kv.list: unavailable"},
		{args: "env a --subject-prefix other --restart-on-change -- true", code: 6, stderr: "~kv.list: unavailable"},
	} {
		s.check(t)
	}
}

// A change ends the command and starts it again: once for several keys, never
// for one that makes no difference, and never with an environment that is an
// error.
func TestEnvRestart(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	do(t, "kv set config/a 1")
	p := start(t, "env", "config/", "--restart-on-change", "--settle", "50ms", "--grace", "100ms", "--", "sh", "-c",
		`[ "$B" = stubborn ] && trap '' TERM; echo run $A $B; while :; do sleep 0.02; done`)
	p.stdout.await(t, "run 1")
	do(t, "kv set config/a 1", "kv set other 1", `batch apply -q --ops '[{"op":"kv.set","key":"config/a","value":"2"},{"op":"kv.set","key":"config/b","value":"stubborn"}]'`)
	p.stdout.await(t, "run 2 stubborn")
	do(t, "kv set config/a/ clash", "kv rm config/b")
	p.stderr.await(t, "has changed")
	do(t, "kv rm config/a/")
	p.stdout.await(t, "run 2")
	do(t, "kv set config/B 4", "kv set config/b 5")
	p.stderr.await(t, `the command runs on as it is: the keys "config/B" and "config/b" are both the variable B`)
	p.stop()
	if code := p.end(); code != 128+15 {
		t.Errorf("status %d: %s", code, p.stderr)
	}
	if n := strings.Count(p.stdout.String(), "run"); n < 3 || n > 5 {
		t.Errorf("ran %d times: %s", n, p.stdout)
	}
}
