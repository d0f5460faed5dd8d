package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// openTerminal makes a terminal: what is written to the near end was typed.
func openTerminal(t *testing.T) (near, far *os.File) {
	t.Helper()
	near, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { near.Close() })
	var number, unlock int32
	for request, p := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &unlock} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, near.Fd(), request, uintptr(unsafe.Pointer(p))); errno != 0 {
			t.Fatal(errno)
		}
	}
	far, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

// onTerminal launches sett as a shell does on a terminal, in the foreground.
func onTerminal(t *testing.T, args ...string) (p *program, typed io.Writer) {
	t.Helper()
	near, far := openTerminal(t)
	p = &program{t: t, stdout: newFeed(), stderr: newFeed()}
	p.cmd = exec.Command(os.Args[0], append([]string{"-test.run=TestAsSett", "--"}, args...)...)
	p.cmd.Env = append(os.Environ(), "TEST_AS_SETT=1")
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = far, far, far
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	far.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(p.stdout, near) // until nobody has the far end
	}()
	overdue := time.AfterFunc(patience, func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	t.Cleanup(func() {
		overdue.Stop()
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
		<-read
	})
	return p, near
}

func typeIn(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// awaitStop waits until a process is stopped.
func awaitStop(t *testing.T, pid int) {
	t.Helper()
	poll(t, func() bool { return hasStopped(pid) })
}

// poll waits until a condition holds that nobody tells of.
func poll(t *testing.T, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("waited in vain")
		}
	}
}

// A command may ask on the terminal, and Ctrl-C is for it alone.
func TestTerminal(t *testing.T) {
	url := serveMemory(t)
	script := `trap 'echo caught; exit 3' INT; read x; echo "got $x"; while :; do sleep 0.02; done`
	p, typed := onTerminal(t, "-s", url, "lock", "a", "--", "sh", "-c", "echo ready; "+script)
	p.stdout.await(t, "ready")
	typeIn(t, typed, "hello\n")
	p.stdout.await(t, "got hello")
	typeIn(t, typed, "\x03")
	p.stdout.await(t, "caught")
	p.ends(3)
}

// Ctrl-Z stops both, and both go on; but not a command whose lock is lost by
// then.
func TestTerminalStop(t *testing.T) {
	url := serveMemory(t)
	script := `echo ready; read x; echo "got $x"; exit 4`
	p, typed := onTerminal(t, "-s", url, "lock", "a", "--ttl", "10s", "--", "sh", "-c", script)
	p.stdout.await(t, "ready")
	typeIn(t, typed, "\x1a")
	awaitStop(t, p.cmd.Process.Pid)
	p.signal(syscall.SIGCONT)
	typeIn(t, typed, "hello\n")
	p.stdout.await(t, "got hello")
	p.ends(4)

	p, typed = onTerminal(t, "-s", url, "lock", "a", "--ttl", "1s", "--", "sh", "-c", script)
	p.stdout.await(t, "ready")
	typeIn(t, typed, "\x1a")
	awaitStop(t, p.cmd.Process.Pid)
	if next := sett(t, "", "-s", url, "lock", "a", "--", "echo", "mine"); next.stdout != "mine\n" {
		t.Errorf("the next one: %+v", next)
	}
	p.signal(syscall.SIGCONT)
	p.ends(exitLost)
}

// SIGTSTP to sett alone stops its command too.
func TestStop(t *testing.T) {
	url := serveMemory(t)
	p := launch(t, "-s", url, "lock", "a", "--ttl", "10s", "--", "sh", "-c", "echo $$; while :; do echo; sleep 0.02; done")
	pid := p.pid()
	p.signal(syscall.SIGTSTP)
	awaitStop(t, p.cmd.Process.Pid)
	poll(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && (strings.Contains(string(stat), ") T ") || strings.Contains(string(stat), ") D ")) // D: what it has started is
	})
	for _, ok := p.stdout.line(); ok; _, ok = p.stdout.line() {
	}
	p.signal(syscall.SIGCONT)
	p.stdout.await(t, "") // it writes on
	p.signal(syscall.SIGTERM)
	p.ends(128 + 15)
	awaitDead(t, pid)
}
