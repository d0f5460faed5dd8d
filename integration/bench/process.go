package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	readyTimeout = 30 * time.Second
	stopTimeout  = 10 * time.Second
	pollInterval = time.Millisecond

	// usageExit is the status of a server that does not know an argument: a
	// binary older than the row.
	usageExit = 2
)

// A process is a running server. It is ended by its own handle only.
type process struct {
	cmd     *exec.Cmd
	started time.Time
	stdin   io.Closer     // its end tells our own servers to stop
	output  tail          // what it printed last
	done    chan struct{} // closed when it has ended
	err     error         // how; valid after done
}

// start runs a command as a server. Cancelling the context kills it.
func start(ctx context.Context, command string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, command, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopTimeout
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin, p.started = stdin, time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// awaitReady returns how long it took from the start until probe succeeded.
func (p *process) awaitReady(ctx context.Context, probe func() error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := probe()
		if err == nil {
			return time.Since(p.started), nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			if p.cmd.ProcessState.ExitCode() == usageExit {
				return 0, unavailable{errors.New(firstLine(p.output.String()))}
			}
			return 0, fmt.Errorf("ended before it was ready: %v\n%s", p.err, &p.output)
		case <-ctx.Done():
			return 0, fmt.Errorf("not ready within %v: %w\n%s", readyTimeout, err, &p.output)
		}
	}
}

// stop asks the process to end and waits for it, killing it if it takes too
// long.
func (p *process) stop() error {
	p.stdin.Close()
	p.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
	select {
	case <-p.done:
		return nil
	case <-time.After(stopTimeout):
		p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not stop within %v and was killed", p.cmd.Path, stopTimeout)
	}
}

// failure says how the process ended, if it did.
func (p *process) failure() error {
	select {
	case <-p.done:
		return fmt.Errorf("the server ended: %v\n%s", p.err, &p.output)
	default:
		return nil
	}
}

// settle waits until the process has stopped working off what the load left
// behind (a feed, compactions), so that it does not slow down the next row. It
// returns how long that took.
func (p *process) settle(ctx context.Context, limit time.Duration) time.Duration {
	const sample = 100 * time.Millisecond
	begin := time.Now()
	tick := time.NewTicker(sample)
	defer tick.Stop()
	before, err := p.cpuTime()
	for err == nil && time.Since(begin) < limit {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Since(begin)
		}
		var now time.Duration
		if now, err = p.cpuTime(); now-before <= clockTick {
			break
		}
		before = now
	}
	return max(0, time.Since(begin)-sample)
}

// freePort finds a port that nothing listens on now.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// tail keeps the end of what a process printed. It is safe for concurrent use.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = append(t.text[:0], t.text[extra:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
