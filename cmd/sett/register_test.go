package main

import (
	"strings"
	"syscall"
	"testing"
)

// An instance that is kept alive outlives a restart of the server, and is
// registered again where the store has forgotten it.
func TestRegisterAcrossRestart(t *testing.T) {
	dir := t.TempDir()
	serveArgs := []string{"serve", "--engine", "memory", "--data-dir", dir, "--listen"}
	first := start(t, append(serveArgs, "127.0.0.1:0")...)
	url := first.ready()
	kept := launch(t, "-s", url, "svc", "register", "web", "--id", "1", "--tag", "v2", "--ttl", "2s", "--keep-alive")
	kept.stdout.await(t, "registered web 1")
	with := launch(t, "-s", url, "svc", "register", "web", "--id", "2", "--ttl", "2s", "--",
		"sh", "-c", "trap 'exit 5' TERM; echo $SETT_SVC_NAME $SETT_SVC_ID; while :; do sleep 0.05; done")
	with.stdout.await(t, "web 2")
	first.stop()
	if code := first.end(); code != 0 {
		t.Fatalf("status %d: %s", code, first.stderr)
	}
	kept.stderr.await(t, "web 1 is not renewed, trying again: ")
	second := start(t, append(serveArgs, strings.TrimPrefix(url, "nats://"))...)
	defer func() { second.stop(); second.end() }()
	second.ready()
	kept.stderr.await(t, "web 1 is registered again")
	with.stderr.await(t, "web 2 is registered again")
	step{args: "svc get web -o raw -s " + url, stdout: "1\n2\n"}.check(t)
	with.signal(syscall.SIGTERM)
	with.ends(5)
	step{args: "svc get web --tag v2 -o raw -s " + url, stdout: "1\n"}.check(t)
	step{args: "svc get web -o raw -s " + url, stdout: "1\n"}.check(t)
	kept.signal(syscall.SIGTERM)
	kept.ends(0)
	step{args: "svc get web -o raw -s " + url}.check(t)
}

// It takes back what it has registered, also with another status, and not what
// another has registered in its place.
func TestRegisterTakesBack(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	register := func(and ...string) *process {
		p := start(t, append(words("svc register web --id 1 --tag b,a --keep-alive -o raw"), and...)...)
		p.stdout.await(t, "1")
		return p
	}
	p := register()
	do(t, "svc heartbeat web 1 --status critical --note slow")
	p.stop()
	if code := p.end(); code != 0 {
		t.Errorf("status %d: %s", code, p.stderr)
	}
	step{args: "svc get web --statuses critical -o raw"}.check(t)
	p = register()
	do(t, "svc register web --id 1 --tag c")
	p.stop()
	if code := p.end(); code != 0 || !strings.Contains(p.stderr.String(), "registered by another") {
		t.Errorf("status %d: %s", code, p.stderr)
	}
	step{args: "svc get web -o raw", stdout: "1\n"}.check(t)
}

func TestRegisterStatus(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	for _, s := range []step{
		{args: "svc register web --address h --port 1 -- sh -c 'cat; exit 3'", stdin: "in\n", code: 3, stdout: "in\n", stderr: "~registered web h:1"},
		{args: "svc register web --id 1 -q -- true"},
		{args: "svc register web --id 1 -- no-such-command", code: exitNoCommand, stderr: "~cannot run"},
		{args: "svc register -- true", code: 2, stderr: "~NAME is missing"},
		{args: "svc register web x -- true", code: 2, stderr: "~too many arguments"},
		{args: "svc register web --", code: 2, stderr: "~COMMAND is missing"},
		{args: "svc register web -- true", code: 2, stderr: "~id: is required"},
		{args: "svc register web --id 1 --if-revision 9 -- true", code: 4, stderr: "~conflict"},
	} {
		s.check(t)
		step{args: "svc get web -o raw"}.check(t)
	}
}

func TestServiceWatch(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	do(t, "svc register web --address 10.0.0.7 --port 80 --tag v1 --ttl 1h", "svc register other --id 1")
	p := start(t, "svc", "watch", "web", "--list", "--count", "5")
	all := start(t, "svc", "watch", "--list", "--count", "6", "-o", "json")
	p.stdout.await(t, "present web")
	all.stdout.await(t, "other")
	all.stdout.await(t, "web")
	do(t, "svc register other --id 2", "kv set web 1",
		"svc heartbeat web 10.0.0.7:80 --status critical --note slow", "svc heartbeat web 10.0.0.7:80 --status passing --note ''",
		"svc register web --address 10.0.0.7 --port 80 --tag v2,v3 --meta zone=eu", "svc register web --id x --ttl 10ms")
	if code := p.end(); code != 0 {
		t.Errorf("status %d: %s", code, p.stderr)
	}
	var got []string
	for _, line := range strings.Split(strings.Trim(p.stdout.String(), "\n"), "\n") {
		if len(line) > 13 {
			got = append(got, line[13:])
		}
	}
	want := `present web 10.0.0.7:80 [v1] (revision 1, for 1h)
register web 10.0.0.7:80 [v1] critical slow (revision 5, for 1h, status before: passing, no note before)
register web 10.0.0.7:80 [v1] (revision 6, for 1h, status before: critical, note before: slow)
register web 10.0.0.7:80 [v2,v3] (revision 7, tags before: v1, no meta before, ttl before: 1h)
register web x (revision 8, for 10ms)
expire web x (revision 9)`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("printed\n%s\nwant\n%s", text, want)
	}
	if code := all.end(); code != 0 {
		t.Errorf("status %d: %s", code, all.stderr)
	}
	if n := strings.Count(all.stdout.String(), `"op":"register"`); n != 7 || !strings.Contains(all.stdout.String(), `"op":"expire"`) {
		t.Errorf("printed %d: %s", n, all.stdout)
	}
	step{args: "svc watch a b", code: 2, stderr: "~one NAME"}.check(t)
}
