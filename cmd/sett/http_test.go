package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
)

// shown is a store with its HTTP side.
type shown struct {
	*process
	t         *testing.T
	nats, url string
}

// serveShown runs a store on free ports until the test ends.
func serveShown(t *testing.T, args ...string) *shown {
	t.Helper()
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir", t.TempDir()}, args...)
	s := &shown{t: t, process: start(t, args...)}
	t.Cleanup(func() {
		s.stop()
		if code := s.end(); code != 0 {
			t.Errorf("serve ended with %d: %s", code, s.stderr)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	var line struct{ URL string }
	if err := json.Unmarshal([]byte(s.stderr.await(t, `"metrics and health"`)), &line); err != nil {
		t.Fatal(err)
	}
	s.url, s.nats = line.URL, s.ready()
	return s
}

// get asks for a path and returns the answer with its body.
func (s *shown) get(path string) (*http.Response, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(body)
}

// asked gives a monitor's own answer, without a port.
func asked(m *monitor, path string) (int, string) {
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHTTPHealth(t *testing.T) {
	s := serveShown(t)
	const checks = "[+]engine ok\n[+]broker ok\n[+]subscriptions ok\n[+]feed ok\n[+]writes ok\n[+]disk ok\n"
	for path, want := range map[string]string{
		"/livez":                         "ok",
		"/livez?verbose":                 "[+]engine ok\nlivez check passed\n",
		"/readyz":                        "ok",
		"/readyz?verbose":                checks + "readyz check passed\n",
		"/readyz?verbose=1&exclude=disk": strings.Replace(checks, "disk ok", "disk excluded: ok", 1) + "readyz check passed\n",
		"/readyz?verbose&exclude=x":      checks + "warn: there is no check \"x\" to exclude\nreadyz check passed\n",
	} {
		if resp, body := s.get(path); resp.StatusCode != 200 || body != want || resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: %d %q, want %q", path, resp.StatusCode, body, want)
		}
	}
	if resp, body := s.get("/"); resp.StatusCode != 200 || !strings.Contains(body, "/metrics") {
		t.Errorf("/: %d %q", resp.StatusCode, body)
	}
	if resp, _ := s.get("/nothing"); resp.StatusCode != 404 {
		t.Errorf("/nothing: %d", resp.StatusCode)
	}
}

// While a store starts it lives, and is not ready.
func TestHTTPStarting(t *testing.T) {
	m := &monitor{flags: &serveFlags{engine: engine.Memory}}
	if code, body := asked(m, "/livez"); code != 200 || body != "ok" {
		t.Errorf("livez: %d %q", code, body)
	}
	code, body := asked(m, "/readyz")
	want := "[-]engine failed: it is opening\n[-]broker failed: not yet connected\n" +
		"[-]subscriptions failed: requests are not taken: the store is starting or stopping\n" +
		"[-]feed failed: changes are not announced\n[-]writes failed: the engine is opening\nreadyz check failed\n"
	if code != 503 || body != want {
		t.Errorf("readyz: %d %q", code, body)
	}
	if code, body := asked(m, "/readyz?exclude=engine&exclude=broker&exclude=subscriptions&exclude=feed&exclude=writes"); code != 200 || body != "ok" {
		t.Errorf("readyz without its checks: %d %q", code, body)
	}
	if code, body := asked(m, "/sd/prometheus?service=web"); code != 503 {
		t.Errorf("sd: %d %q", code, body)
	}
	if code, body := asked(m, "/metrics"); code != 200 || !strings.Contains(body, "\nsett_ready 0\n") {
		t.Errorf("metrics: %d\n%s", code, body)
	}
}

// broken is an engine whose commit failed.
type broken struct{ engine.Engine }

func (broken) Err() error                { return errors.New("a secret of the disk") }
func (broken) Status() codec.StatusReply { return codec.StatusReply{} }

// A store that cannot go on is not alive: only a new process helps.
func TestHTTPBroken(t *testing.T) {
	m := &monitor{flags: &serveFlags{engine: engine.Memory}}
	m.opened(broken{})
	for _, path := range []string{"/livez", "/readyz"} {
		code, body := asked(m, path)
		if code != 503 || !strings.Contains(body, "[-]engine failed: it has stopped") || strings.Contains(body, "secret") {
			t.Errorf("%s: %d %q", path, code, body)
		}
	}
}

// full is an engine that refuses writes.
type full struct{ engine.Engine }

func (full) Err() error { return nil }

func (full) Status() codec.StatusReply {
	return codec.StatusReply{Reasons: []string{"this", "that"}}
}

func (full) Gauges() engine.Gauges { return engine.Gauges{DiskFree: 9 << 20, DiskLow: true} }

// A store that takes no writes is not ready, and says why; it lives.
func TestHTTPFull(t *testing.T) {
	m := &monitor{flags: &serveFlags{engine: engine.Badger}}
	m.opened(full{})
	code, body := asked(m, "/readyz")
	for _, line := range []string{"[+]engine ok\n", "[-]writes failed: this; that\n", "[-]disk failed: only 9216 KiB are free\n"} {
		if code != 503 || !strings.Contains(body, line) {
			t.Errorf("%d, no %q in %q", code, line, body)
		}
	}
	if code, _ := asked(m, "/livez"); code != 200 {
		t.Errorf("livez: %d", code)
	}
}

// A store whose backups fail is ready, and shows it.
func TestHTTPBackupFails(t *testing.T) {
	m := &monitor{flags: &serveFlags{engine: engine.Memory, backup: backupFlags{dir: "somewhere"}}}
	others := "exclude=engine&exclude=broker&exclude=subscriptions&exclude=feed&exclude=writes"
	told := func(line, metric string) {
		t.Helper()
		if code, body := asked(m, "/readyz?verbose&"+others); code != 200 || !strings.Contains(body, line+"\nreadyz check passed") {
			t.Errorf("%d, no %q in %q", code, line, body)
		}
		if code, body := asked(m, "/readyz?"+others); code != 200 || body != "ok" {
			t.Errorf("readyz: %d %q", code, body)
		}
		if _, body := asked(m, "/metrics"); !strings.Contains(body, "\n"+metric+"\n") {
			t.Errorf("no %s in %s", metric, body)
		}
	}
	told("[+]backup ok", `sett_check{check="backup"} 1`)
	m.backups.failing.Store(true)
	m.backups.failures.Store(3)
	told("[!]backup failed, and readyz does not: the last backup failed, and there is none; the log says why", `sett_check{check="backup"} 0`)
	m.backups.last.Store(1767323045500)
	told("[!]backup failed, and readyz does not: the last backup failed, and the newest is of 2026-01-02T03:04:05Z; the log says why",
		"sett_backup_last_success_timestamp_seconds 1.7673230455e+09")
	if _, body := asked(m, "/metrics"); !strings.Contains(body, "\nsett_backup_failures_total 3\n") {
		t.Errorf("the failures are not counted: %s", body)
	}
}

// A schedule that cannot write shows it; the store serves.
func TestHTTPBackupFailsServing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveShown(t, "--backup-dir", file)
	if said := "the backup failed"; !strings.Contains(s.stderr.String(), said) { // before it was ready
		s.stderr.await(t, said)
	}
	if answer, body := s.get("/readyz?verbose"); answer.StatusCode != 200 || !strings.Contains(body, "[!]backup failed") {
		t.Errorf("%d %s", answer.StatusCode, body)
	}
	if _, body := s.get("/metrics"); !strings.Contains(body, "\nsett_ready 1\n") || !strings.Contains(body, "\nsett_backup_failures_total 1\n") {
		t.Errorf("metrics: %s", body)
	}
}

func TestHTTPRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const rest = " --engine memory --listen 127.0.0.1:0"
	for _, s := range []step{
		{args: "serve --http-listen " + taken.Addr().String() + rest, code: 1, stderr: "~--http-listen: another program listens on " + taken.Addr().String()},
		{args: "serve --http-listen nonsense" + rest, code: 1, stderr: "~--http-listen: cannot listen on nonsense"},
	} {
		s.check(t)
	}
}

// The port is closed once the process has ended, and no goroutine is left.
func TestHTTPStops(t *testing.T) {
	if w, err := startHTTP("", nil, nil); w != nil || err != nil {
		t.Fatal("it serves without an address")
	}
	log := newFeed()
	w, err := startHTTP("127.0.0.1:0", &monitor{flags: &serveFlags{}}, slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	var line struct{ URL string }
	if err := json.Unmarshal([]byte(log.await(t, "metrics and health")), &line); err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(line.URL, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // nothing is asked: it must not hold up the end
	w.stop()
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}
