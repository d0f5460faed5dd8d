package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// command is what keeps a lock, a registration or an environment needs of the
// command that it keeps them for; a *[child] is one.
type command interface {
	// ended is closed when the command has ended.
	ended() <-chan struct{}
	// relay passes a signal on, or acts upon one of job control.
	relay(sig os.Signal)
	// end asks the command to end: SIGTERM.
	end()
	// kill ends it, and everything in its process group, now.
	kill()
}

// child is a command that this one runs. It has a process group of its own, so
// that what it starts can be ended with it, and the terminal, if there is one:
// Ctrl-C reaches the command and not us, and Ctrl-Z stops both.
//
// # Goroutine
//
// One goroutine starts the command and waits for it. It keeps its thread, as
// the kernel ends the command when the thread goes that started it (see
// dieWithUs). It ends when the command has ended, and closes done.
type child struct {
	cmd    *exec.Cmd
	group  bool      // it has a process group of its own
	tty    *terminal // that it was given; or nil
	paused bool      // it is stopped, and so are we: SIGCONT goes on
	done   chan struct{}
}

// startChild runs a command with our streams, and env besides our environment.
func (a *app) startChild(argv, env []string) (*child, error) {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	cmd.WaitDelay = time.Second // where a stream is no file: what it left running may hold it
	c := &child{cmd: cmd, done: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	c.group, c.tty = arrange(cmd.SysProcAttr, a.stdin)
	dieWithUs(cmd.SysProcAttr)
	started := make(chan error, 1)
	go c.run(started)
	if err := <-started; err != nil {
		return nil, cannotStart(argv[0], err)
	}
	return c, nil
}

func (c *child) run(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(c.done)
	err := c.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	_ = c.cmd.Wait() // status reads how it ended
	c.tty.takeBack(c.cmd.Process.Pid)
}

// cannotStart is why a command does not run, with the status that shells have
// for it.
func cannotStart(name string, err error) error {
	status := exitCannotRun
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		status = exitNoCommand
	}
	return &exitError{status: status, text: fmt.Sprintf("cannot run %s: %v", name, err)}
}

func (c *child) ended() <-chan struct{} { return c.done }

// status is the exit status of a command that has ended: its own, or 128 and
// the signal that ended it. It is an error unless it is 0.
func (c *child) status() error {
	state := c.cmd.ProcessState
	status := state.ExitCode()
	if how, ok := state.Sys().(syscall.WaitStatus); ok && how.Signaled() {
		status = 128 + int(how.Signal())
	}
	if status == 0 {
		return nil
	}
	return &exitError{status: status}
}

// send signals the process group; it is gone where that fails.
func (c *child) send(sig syscall.Signal) {
	pid := c.cmd.Process.Pid
	if c.group {
		pid = -pid
	}
	_ = syscall.Kill(pid, sig)
}

// end goes on with a command that is stopped, or it would not see the SIGTERM.
func (c *child) end() {
	c.send(syscall.SIGTERM)
	c.send(syscall.SIGCONT)
}

func (c *child) kill() { c.send(syscall.SIGKILL) }

// relay forwards a signal, and keeps job control as a shell expects it: where
// one of the two stops or goes on, so does the other. A lock whose keeper is
// stopped while its command runs would soon be somebody else's.
func (c *child) relay(sig os.Signal) {
	switch sig {
	case syscall.SIGCHLD:
		if c.tty != nil && !c.paused && hasStopped(c.cmd.Process.Pid) { // by Ctrl-Z, which only the command saw
			c.paused = true
			_ = syscall.Kill(0, syscall.SIGSTOP) // with all that the shell takes for this job
		}
	case syscall.SIGTSTP:
		c.paused = true
		c.send(syscall.SIGSTOP)
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	case syscall.SIGCONT:
		c.tty.give(c.cmd.Process.Pid)
		if c.paused {
			c.paused = false
			c.send(syscall.SIGCONT)
		}
	case syscall.SIGINT, syscall.SIGQUIT:
		if !c.group {
			return // the terminal has sent it to the command too
		}
		fallthrough
	default:
		c.send(sig.(syscall.Signal))
	}
}

// await relays signals until a command has ended.
func await(c command, signals <-chan os.Signal) {
	for {
		select {
		case <-c.ended():
			return
		case sig := <-signals:
			c.relay(sig)
		}
	}
}

// untilSignal stands for a command where there is none: it ends at the first
// signal that asks for it.
type untilSignal struct{ done chan struct{} }

func (u *untilSignal) ended() <-chan struct{} { return u.done }

func (u *untilSignal) relay(sig os.Signal) {
	if ends(sig) {
		close(u.done)
	}
}

func (u *untilSignal) end()  {}
func (u *untilSignal) kill() {}

// relayed are the signals that a command gets, and those of job control.
var relayed = []os.Signal{
	syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
	syscall.SIGCHLD, syscall.SIGTSTP, syscall.SIGCONT,
}

// ending are the signals that ask to end.
var ending = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

func ends(sig os.Signal) bool { return slices.Contains(ending, sig) }

// catchSignals takes signals until stop. A ctx that
// ends by something else counts as a SIGTERM. What is ignored stays so, for
// nohup.
func catchSignals(ctx context.Context, which []os.Signal) (signals <-chan os.Signal, stop func()) {
	caught := make(chan os.Signal, 64)
	for _, sig := range which {
		if !signal.Ignored(sig) {
			signal.Notify(caught, sig)
		}
	}
	quit := context.AfterFunc(ctx, func() {
		cause := context.Cause(ctx)
		if cause != context.Canceled && errors.Is(cause, context.Canceled) {
			return // a signal, see [signal.NotifyContext]: it comes by itself
		}
		select {
		case caught <- syscall.SIGTERM:
		default: // there are enough signals
		}
	})
	return caught, func() { quit(); signal.Stop(caught) }
}

// thenCommand is for those who run a command: one argument of their own, and
// the command behind --.
func thenCommand(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		at := cmd.ArgsLenAtDash()
		switch {
		case at == 0, len(args) == 0:
			return usagef(cmd, "%s is missing", name)
		case at < 0:
			return usagef(cmd, "-- is missing: %s %s -- COMMAND ARGS", cmd.CommandPath(), args[0])
		case at > 1:
			return usagef(cmd, "too many arguments before --: %q", args[1:at])
		}
		return hasCommand(cmd, args[at:])
	}
}

// hasCommand checks what stands behind --.
func hasCommand(cmd *cobra.Command, argv []string) error {
	if len(argv) == 0 || argv[0] == "" {
		return usagef(cmd, "COMMAND is missing behind --")
	}
	return nil
}
