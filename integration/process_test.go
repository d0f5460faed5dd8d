package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// process is a sett that serves, or tried to.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	url  string // of its broker
	args []string

	mayDie bool // of a fault that a test provokes

	ready  chan string   // receives the URL
	exited chan struct{} // closed when err is set
	err    error

	mu  sync.Mutex
	log []string
}

// serve starts `sett serve` with a data directory of its own on a free port,
// waits until it is ready, and ends it with the test. More flags follow, later
// ones win.
func serve(t testing.TB, flags ...string) *process {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	return launch(t, append([]string{"--listen", "127.0.0.1:0", "--data-dir", dir}, flags...)...).mustBeReady()
}

// launch starts `sett serve` with exactly these flags and does not wait.
func launch(t testing.TB, flags ...string) *process {
	t.Helper()
	return launchUnder(t, nil, flags...)
}

// launchUnder is launch by a command that ends in running what follows it.
func launchUnder(t testing.TB, wrapper []string, flags ...string) *process {
	t.Helper()
	p := &process{t: t, args: flags, ready: make(chan string, 1), exited: make(chan struct{})}
	line := append(append([]string(nil), wrapper...), serverBinary(t), "serve", "--log-format", "json")
	line = append(line, flags...)
	p.cmd = exec.Command(line[0], line[1:]...)
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=0 exitcode=66")
	dieWithUs(p.cmd)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.watch(stderr)
	t.Cleanup(p.cleanup)
	return p
}

// watch reads the log until the process ends.
func (p *process) watch(stderr io.Reader) {
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		p.mu.Unlock()
		var entry struct{ Msg, URL string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "ready" {
			p.ready <- entry.URL
		}
	}
	p.err = p.cmd.Wait()
	close(p.exited)
}

// mustBeReady waits until the store serves.
func (p *process) mustBeReady() *process {
	p.t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case p.url = <-p.ready:
	case <-p.exited:
		p.t.Fatalf("sett serve %v ended: %v\n%s", p.args, p.err, p.logged())
	case <-timer.C:
		p.t.Fatalf("sett serve %v is not ready after %v\n%s", p.args, patience, p.logged())
	}
	return p
}

// logged is what the process has logged.
func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

// cleanup ends what is still running and reports what the race detector saw.
func (p *process) cleanup() {
	p.kill()
	log := p.logged()
	if strings.Contains(log, "DATA RACE") {
		p.t.Errorf("sett serve %v has a data race", p.args)
	}
	if !p.mayDie && (strings.Contains(log, "panic:") || strings.Contains(log, "fatal error:")) {
		p.t.Errorf("sett serve %v has panicked", p.args)
	}
	if told := warnings(log); p.t.Failed() && told != "" {
		const most = 6000
		p.t.Logf("log of sett serve %v:\n%s", p.args, told[max(0, len(told)-most):])
	}
}

// warnings leaves out what a log always has.
func warnings(log string) string {
	var told strings.Builder
	for line := range strings.Lines(log) {
		if !strings.Contains(line, `"level":"INFO"`) {
			told.WriteString(line)
		}
	}
	return told.String()
}

// kill is kill -9, and waits for the end.
func (p *process) kill() {
	p.cmd.Process.Kill() // fails where it has ended
	<-p.exited
}

// stop is SIGTERM; the process must end with status 0.
func (p *process) stop() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		p.t.Fatalf("after SIGTERM: %v\n%s", err, p.logged())
	}
}

// signal sends a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%v: %v", s, err)
	}
}

// wait waits for the end and returns its error; status 0 is nil.
func (p *process) wait() error {
	p.t.Helper()
	within(p.t, patience, "end of the process", p.exited)
	return p.err
}

// mustFail waits for an end with status 1 and returns what was logged.
func (p *process) mustFail() string {
	p.t.Helper()
	var exit *exec.ExitError
	if err := p.wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		p.t.Fatalf("sett serve %v ended with %v, not with status 1\n%s", p.args, err, p.logged())
	}
	return p.logged()
}

// again starts the same store once more: same data, same port.
func (p *process) again() *process {
	p.t.Helper()
	return launch(p.t, p.sameFlags()...).mustBeReady()
}

// sameFlags are the flags for the same store on the same port.
func (p *process) sameFlags() []string {
	flags := append([]string(nil), p.args...)
	for i := range flags {
		if u, err := url.Parse(p.url); flags[i] == "--listen" && err == nil {
			flags[i+1] = u.Host
		}
	}
	return flags
}

// connect opens a connection to the store's broker, closed with the test.
func (p *process) connect(opts ...nats.Option) *nats.Conn {
	p.t.Helper()
	return connect(p.t, p.url, opts...)
}

// connect opens a connection that is closed with the test.
func connect(t testing.TB, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	opts = append([]nats.Option{
		nats.Timeout(patience), nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), nats.ReconnectJitter(0, 0),
	}, opts...)
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatalf("connect %s: %v", url, err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// freeAddress is one that a server can have, and have again after it was ended.
// It lies below the ports that systems give to whoever connects: one of those
// could take it meanwhile.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(12_000+int(nextPort.Add(1)%20_000)))
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
	t.Fatal("there is no free port")
	return ""
}

// nextPort gives each address once; test processes begin at different ones.
var nextPort = func() *atomic.Uint32 {
	n := new(atomic.Uint32)
	n.Store(rand.Uint32N(20_000))
	return n
}()

// memory reads a line of /proc/PID/status in KiB: VmRSS, VmHWM.
func (p *process) memory(line string) int {
	p.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for text := range strings.Lines(string(data)) {
		var kib int
		if rest, ok := strings.CutPrefix(text, line+":"); ok {
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				return kib
			}
		}
	}
	p.t.Fatalf("no %s in the status of the process", line)
	return 0
}

// sett runs the command line against the store's broker and returns what it
// printed and its exit status.
func (p *process) sett(args ...string) result {
	p.t.Helper()
	return command(p.t, nil, append([]string{"-s", p.url}, args...)...)
}

// result is what a run of the command line gave.
type result struct {
	out, err string
	status   int
}

// command runs sett with some standard input, for at most patience.
func command(t testing.TB, stdin io.Reader, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	err := cmd.Run()
	r := result{out: out.String(), err: errs.String()}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		r.status = exit.ExitCode()
	default:
		t.Fatalf("sett %v: %v\n%s", args, err, r.err)
	}
	return r
}
