package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// page asks a store's HTTP side, on an address of --http-listen.
func page(t testing.TB, address, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// awaitPage waits until a path answers with a status and a text in its body.
func awaitPage(t testing.TB, address, path string, status int, text string) {
	t.Helper()
	eventually(t, patience, func() error {
		got, body, err := page(t, address, path)
		if err == nil && (got != status || !strings.Contains(body, text)) {
			err = fmt.Errorf("%s: %d %q", path, got, body)
		}
		return err
	})
}

// TestHTTPBrokerAway: readiness follows the broker, and a store without one
// lives on.
func TestHTTPBrokerAway(t *testing.T) {
	b, address := startBroker(t), freeAddress(t)
	join(t, b, "--http-listen", address)
	awaitPage(t, address, "/readyz", 200, "ok")
	b.kill()
	awaitPage(t, address, "/readyz", 503, "[-]broker failed: ")
	awaitPage(t, address, "/livez", 200, "ok")
	awaitPage(t, address, "/metrics", 200, "\nsett_connected{connection=\"requests\"} 0\n")
	b.start()
	awaitPage(t, address, "/readyz", 200, "ok")
	awaitPage(t, address, "/metrics", 200, "\nsett_reconnects_total{connection=\"requests\"} 1\n")
}

// TestHTTPPort: by default there is none; a taken one is a clear error, before
// anything was made; the variable stands in for the flag.
func TestHTTPPort(t *testing.T) {
	t.Setenv("SETT_HTTP_LISTEN", freeAddress(t))
	serve(t)
	log := launch(t, "--listen", "127.0.0.1:0", "--data-dir", t.TempDir()).mustFail()
	if !strings.Contains(log, "--http-listen") || !strings.Contains(log, "choose another port") {
		t.Errorf("the error does not say what to do: %s", log)
	}
	t.Setenv("SETT_HTTP_LISTEN", "")
	if p := serve(t); strings.Contains(p.logged(), "metrics and health") {
		t.Error("it listens though nobody asked for it")
	}
}

// TestHTTPCounts: what is measured fits what was done.
func TestHTTPCounts(t *testing.T) {
	address := freeAddress(t)
	nc := serve(t, "--http-listen", address).connect()
	for i := range 10 {
		set(t, nc, fmt.Sprint("k", i), "v")
	}
	ask(t, nc, "kv.get.none", nil)
	must(t, nc, "kv.set", `{"key":"short","value":"1","ttl_ms":50}`)
	for _, line := range []string{
		`sett_requests_total{code="ok",subject="kv.set"} 11`,
		`sett_requests_total{code="not_found",subject="kv.get"} 1`,
		`sett_request_duration_seconds_count{subject="kv.set"} 11`,
		`sett_expiry_lateness_seconds_count 1`,
		`sett_feed_lag_revisions 0`,
		`sett_keys 10`,
	} {
		awaitPage(t, address, "/metrics", 200, "\n"+line+"\n")
	}
}
