package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain keeps the environment and the contexts of whoever runs the tests
// out of them.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "sett-test-home-*")
	if err != nil {
		panic(err)
	}
	os.Setenv("HOME", home)
	os.Unsetenv("XDG_CONFIG_HOME")
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "NATS_") || strings.HasPrefix(name, "SETT_") {
			os.Unsetenv(name)
		}
	}
	code := m.Run()
	os.RemoveAll(home)
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon")); err != nil && code == 0 {
		os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

// patience bounds every wait; no test waits this long unless it fails.
const patience = 20 * time.Second

// result is what a command left behind.
type result struct {
	code           int
	stdout, stderr string
}

// sett runs a command line to its end.
func sett(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// process is a command that runs until it is stopped.
type process struct {
	t              *testing.T
	stop           context.CancelFunc
	stdout, stderr *feed
	done           chan int
}

// start runs a command line in the background.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	p := &process{t: t, stop: stop, stdout: newFeed(), stderr: newFeed(), done: make(chan int, 1)}
	go func() { p.done <- run(ctx, args, strings.NewReader(""), p.stdout, p.stderr) }()
	return p
}

// end waits for the process and returns its exit status.
func (p *process) end() int {
	p.t.Helper()
	select {
	case code := <-p.done:
		return code
	case <-time.After(patience):
		p.t.Fatalf("it does not end; stderr: %s", p.stderr)
		return -1
	}
}

// serve runs a store on a free port and returns its URL.
func serve(t *testing.T, args ...string) string {
	t.Helper()
	p := start(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir()}, args...)...)
	t.Cleanup(func() {
		p.stop()
		if code := p.end(); code != 0 {
			t.Errorf("serve ended with %d: %s", code, p.stderr)
		}
	})
	return p.ready()
}

// ready waits until a store serves, and returns its URL.
func (p *process) ready() string {
	p.t.Helper()
	line := p.stderr.await(p.t, `"msg":"ready"`)
	var entry struct{ URL string }
	if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.URL == "" {
		p.t.Fatalf("cannot read %q: %v", line, err)
	}
	return entry.URL
}

// serveMemory is serve with the engine that leaves nothing behind.
func serveMemory(t *testing.T, args ...string) string {
	return serve(t, append([]string{"--engine", "memory"}, args...)...)
}

// feed collects lines, for a test to wait for.
type feed struct {
	mu    sync.Mutex
	text  []byte
	taken int
	more  chan struct{}
}

func newFeed() *feed { return &feed{more: make(chan struct{}, 1)} }

func (f *feed) Write(b []byte) (int, error) {
	f.mu.Lock()
	f.text = append(f.text, b...)
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (f *feed) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.text)
}

// line takes the next whole line, if there is one.
func (f *feed) line() (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	line, _, ok := strings.Cut(string(f.text[f.taken:]), "\n")
	if ok {
		f.taken += len(line) + 1
	}
	return line, ok
}

// await returns the next line that has the text.
func (f *feed) await(t *testing.T, text string) string {
	t.Helper()
	deadline := time.After(patience)
	for {
		for line, ok := f.line(); ok; line, ok = f.line() {
			if strings.Contains(line, text) {
				return line
			}
		}
		select {
		case <-f.more:
		case <-deadline:
			t.Fatalf("no line with %q in:\n%s", text, f)
		}
	}
}

var _ io.Writer = (*feed)(nil)
