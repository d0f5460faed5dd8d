package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// program is sett in a process of its own, with a line in front of what it
// prints for each stream.
type program struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr *feed
}

// launch starts a command line as a process.
func launch(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{t: t, stdout: newFeed(), stderr: newFeed()}
	p.cmd = exec.Command(os.Args[0], append([]string{"-test.run=TestAsSett", "--"}, args...)...)
	p.cmd.Env = append(os.Environ(), "TEST_AS_SETT=1")
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.WaitDelay = time.Second // a command that outlives it would hold the streams
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	overdue := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	t.Cleanup(func() {
		overdue.Stop()
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (p *program) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// ends waits for the process and checks its status; -1: killed.
func (p *program) ends(want int) {
	p.t.Helper()
	_ = p.cmd.Wait()
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		p.t.Errorf("status %d, want %d; stderr: %s", got, want, p.stderr)
	}
}

// pid reads the process id that a command prints first.
func (p *program) pid() int {
	p.t.Helper()
	pid, err := strconv.Atoi(p.stdout.await(p.t, ""))
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// awaitDead waits until there is no such process, or nothing of it but its
// status.
func awaitDead(t *testing.T, pid int) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(patience)
	for {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("%d is alive", pid)
		}
	}
}

// Of several contenders one runs at a time, and the fencing token of each is
// greater than the one before.
func TestLockExcludes(t *testing.T) {
	url := serveMemory(t)
	file := filepath.Join(t.TempDir(), "log")
	script := `echo begin $SETT_LOCK_REVISION >>` + file + `; sleep 0.05; echo end $SETT_LOCK_REVISION >>` + file
	var all []*program
	const contenders = 5
	for range contenders {
		all = append(all, launch(t, "-s", url, "lock", "a/b", "--", "sh", "-c", script+"; "+script))
	}
	for _, p := range all {
		p.ends(0)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != 4*contenders {
		t.Fatalf("%d lines: %s", len(lines), text)
	}
	last := 0
	for i := 0; i < len(lines); i += 4 {
		token, _ := strconv.Atoi(strings.TrimPrefix(lines[i], "begin "))
		want := fmt.Sprintf("begin %[1]d|end %[1]d|begin %[1]d|end %[1]d", token)
		if strings.Join(lines[i:i+4], "|") != want || token <= last {
			t.Fatalf("two at once, or a token that is not greater: %s", text)
		}
		last = token
	}
	step{args: "kv get lock/a/b -s " + url, code: 3, stderr: "~not_found"}.check(t)
}

// A holder that was stopped for longer than the TTL ends its command at once
// when it goes on, and nothing is written with its token once another has the
// lock.
func TestLockStopped(t *testing.T) {
	url := serveMemory(t)
	p := launch(t, "-s", url, "lock", "a", "--ttl", "1s", "--", "sh", "-c", "echo $$; echo $SETT_LOCK_REVISION; exec sleep 60")
	pid, token := p.pid(), p.stdout.await(t, "")
	guarded := `batch apply --ops '{"op":"kv.set","key":"x","value":"1"}' --if lock/a=` + token + " -s " + url
	step{args: guarded, stdout: "~created"}.check(t)
	p.signal(syscall.SIGSTOP)
	next := sett(t, "", "-s", url, "lock", "a", "--wait", "10s", "--", "echo", "mine")
	if next.code != 0 || next.stdout != "mine\n" {
		t.Fatalf("the next one: %+v", next)
	}
	step{args: guarded, code: 4, stderr: "~conflict"}.check(t)
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the command was to live while its holder is stopped: %v", err)
	}
	began := time.Now()
	p.signal(syscall.SIGCONT)
	p.ends(exitLost)
	awaitDead(t, pid)
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

// A lock that is taken away ends the whole process group.
func TestLockTaken(t *testing.T) {
	url := serveMemory(t)
	p := launch(t, "-s", url, "lock", "a", "--ttl", "2s", "--", "sh", "-c", "sleep 60 & echo $!; trap '' TERM; wait")
	pid := p.pid()
	do(t, "kv rm lock/a -s "+url)
	p.ends(exitLost)
	awaitDead(t, pid)
	if !strings.Contains(p.stderr.String(), "somebody has removed or replaced it") {
		t.Errorf("%s", p.stderr)
	}
}

// Without its holder, killed by SIGKILL, the command dies too.
func TestLockKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux does that")
	}
	url := serveMemory(t)
	p := launch(t, "-s", url, "lock", "a", "--ttl", "1s", "--", "sh", "-c", "echo $$; exec sleep 60")
	pid := p.pid()
	p.signal(syscall.SIGKILL)
	p.ends(-1)
	awaitDead(t, pid)
	if next := sett(t, "", "-s", url, "lock", "a", "--", "echo", "mine"); next.code != 0 || next.stdout != "mine\n" {
		t.Errorf("the next one: %+v", next)
	}
}

// Signals go to the command, and the lock is released when that has ended.
func TestLockSignals(t *testing.T) {
	url := serveMemory(t)
	for sig, want := range map[os.Signal]int{syscall.SIGTERM: 15, syscall.SIGINT: 2, syscall.SIGHUP: 1} {
		if signal.Ignored(sig) {
			continue // under nohup, say, and so by whom we launch
		}
		p := launch(t, "-s", url, "lock", "a", "--", "sh", "-c", fmt.Sprintf("trap 'exit %d' TERM INT HUP; echo; while :; do sleep 0.02; done", want))
		p.stdout.await(t, "")
		p.signal(sig)
		p.ends(want)
		step{args: "kv get lock/a -s " + url, code: 3, stderr: "~not_found"}.check(t)
	}
}

// The status is the command's, and each end releases the lock.
func TestLockStatus(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range []step{
		{args: `lock a -- sh -c 'echo $SETT_LOCK_NAME $SETT_LOCK_KEY; cat; exit 7'`, stdin: "in\n", code: 7, stdout: "a lock/a\nin\n"},
		{args: `lock a -- sh -c 'kill -9 $$'`, code: 128 + 9},
		{args: "lock a -- no-such-command", code: exitNoCommand, stderr: "~cannot run no-such-command"},
		{args: "lock a -- /no/such/command", code: exitNoCommand, stderr: "~no such file"},
		{args: "lock a -- " + plain, code: exitCannotRun, stderr: "~permission denied"},
		{args: "lock a", code: 2, stderr: "~-- is missing: sett lock a -- COMMAND"},
		{args: "lock a echo", code: 2, stderr: "~-- is missing"},
		{args: "lock", code: 2, stderr: "~NAME is missing"},
		{args: "lock -- echo", code: 2, stderr: "~NAME is missing"},
		{args: "lock a b -- echo", code: 2, stderr: "~too many arguments"},
		{args: "lock a --", code: 2, stderr: "~COMMAND is missing"},
		{args: "lock a --ttl 1ms -- true", code: 2, stderr: "~--ttl must be at least 1s"},
		{args: "lock a --wait -1s -- true", code: 2, stderr: "~--wait: must be a duration"},
		{args: "lock '' -- true", code: 0},
		{args: "lock a -s nats://127.0.0.1:1 -- true", code: 6, stderr: "~no NATS server answers"},
		{args: "lock a --subject-prefix other -- true", code: 6, stderr: "~nobody answers"},
	} {
		s.check(t)
		step{args: "kv get lock/a", code: 3, stderr: "~not_found"}.check(t)
	}
}

func TestLockWait(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	holder := start(t, "lock", "a", "--", "sh", "-c", "echo held; sleep 60")
	holder.stdout.await(t, "held")
	host, _ := os.Hostname()
	step{args: "lock a --wait 0 -- true", code: exitNotLocked, stderr: fmt.Sprintf("~sett: lock/a is held by %s (pid %d) since ", host, os.Getpid())}.check(t)
	step{args: "lock a --wait 100ms -- true", code: exitNotLocked, stderr: "~waited for 100ms"}.check(t)
	interrupted, next := start(t, "lock", "a", "--", "true"), start(t, "lock", "a", "--", "echo", "mine")
	interrupted.stderr.await(t, "waiting for lock/a, held by")
	next.stderr.await(t, "waiting for lock/a")
	interrupted.stop()
	if code := interrupted.end(); code != exitInterrupted {
		t.Errorf("status %d when interrupted", code)
	}
	holder.stop() // as SIGTERM does, for there was none
	if code := holder.end(); code != 128+15 {
		t.Errorf("status %d of the holder", code)
	}
	if code := next.end(); code != 0 || next.stdout.String() != "mine\n" {
		t.Errorf("status %d, %q of the next", code, next.stdout)
	}
	// What somebody else keeps there is a lock too.
	do(t, "kv set lock/a mine")
	step{args: "lock a --wait 0 -- true", code: exitNotLocked, stderr: "~held by somebody"}.check(t)
}

// A create that was applied although its answer did not come is ours, by the
// id in the value; its revision is what the lock is kept and released by.
func TestLockAdopts(t *testing.T) {
	url := plainBroker(t)
	nc := client(t, url)
	var value []byte // of the first create, once it was "applied"
	var lost string  // its message id: repeats get no answer either
	released := make(chan uint64, 1)
	var one sync.Mutex
	serve := func(subject string, answer func(m *nats.Msg) (any, error)) {
		t.Helper()
		_, err := nc.Subscribe(subject, func(m *nats.Msg) {
			one.Lock()
			defer one.Unlock()
			reply, err := answer(m)
			switch {
			case err != nil:
				_ = m.RespondMsg(subjects.ErrorReply(m.Reply, codec.Msgpack, codec.AsError(err)))
			case reply != nil:
				_ = m.Respond(codec.Append(nil, codec.Msgpack, reply))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	serve("kv.set.lock.a", func(m *nats.Msg) (any, error) {
		id := m.Header.Get(subjects.HeaderMsgID)
		if value == nil {
			set, _, err := subjects.KVSet.Decode("lock.a", m.Data)
			if err != nil {
				return nil, err
			}
			value, lost = set.Value, id
		}
		if id == lost {
			return nil, nil
		}
		return nil, codec.Errorf(codec.Conflict, "it is there")
	})
	serve("kv.get.lock.a", func(*nats.Msg) (any, error) {
		return &codec.GetReply{Entry: codec.Entry{Key: "lock/a", Value: value, Revision: 7, TTLMs: 15_000}}, nil
	})
	serve("kv.delete.lock.a", func(m *nats.Msg) (any, error) {
		del, _, err := subjects.KVDelete.Decode("lock.a", m.Data)
		if err == nil {
			released <- *del.IfRevision
		}
		return &codec.DeleteReply{Deleted: true}, err
	})
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	step{args: "lock a --timeout 300ms -s " + url + ` -- sh -c 'echo $SETT_LOCK_REVISION'`, stdout: "7\n", stderr: "~timeout"}.check(t)
	if revision := <-released; revision != 7 {
		t.Errorf("released revision %d", revision)
	}
}
