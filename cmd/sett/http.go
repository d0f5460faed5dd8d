package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
)

// monitor is what a store shows of itself over HTTP: from before it is ready
// until after it has stopped. Nothing there is secret, and nothing changes
// anything, but whoever may ask also learns where services are.
type monitor struct {
	serving consumer.Stats
	engine  engine.Stats
	backups backupStats
	flags   *serveFlags

	// Set once each, when they are there.
	store atomic.Pointer[engine.Engine]
	link  atomic.Pointer[link]
}

// opened notes the engine.
func (m *monitor) opened(store engine.Engine) { m.store.Store(&store) }

// opening returns the engine, or nil while it opens.
func (m *monitor) opening() engine.Engine {
	if store := m.store.Load(); store != nil {
		return *store
	}
	return nil
}

const (
	httpReadTimeout  = 5 * time.Second  // of a request; there are no bodies
	httpWriteTimeout = 30 * time.Second // of an answer
	httpIdleTimeout  = 2 * time.Minute  // between two requests of a connection
	httpStopTimeout  = 2 * time.Second  // for the answers that are under way
	httpMaxHeader    = 16 << 10
)

// webServer serves a monitor.
type webServer struct {
	server *http.Server
	log    *slog.Logger
	done   chan struct{} // closed when it serves no more
}

// startHTTP serves m on an address, or nothing where it is "".
func startHTTP(address string, m *monitor, log *slog.Logger) (*webServer, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("--http-listen: another program listens on %s; choose another port (0: any free one)", address)
	case err != nil:
		return nil, fmt.Errorf("--http-listen: cannot listen on %s: %w", address, err)
	}
	w := &webServer{
		log: log, done: make(chan struct{}),
		server: &http.Server{
			Handler: m.handler(), ReadTimeout: httpReadTimeout, WriteTimeout: httpWriteTimeout,
			IdleTimeout: httpIdleTimeout, MaxHeaderBytes: httpMaxHeader,
			ErrorLog: slog.NewLogLogger(log.With("from", "http").Handler(), slog.LevelDebug),
		},
	}
	go w.serve(l) // until stop
	log.Info("metrics and health", "url", "http://"+l.Addr().String())
	return w, nil
}

func (w *webServer) serve(l net.Listener) {
	defer close(w.done)
	if err := w.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		w.log.Error("HTTP ended; the store goes on without metrics and health", "error", err)
	}
}

// stop answers what was asked, for a moment, and closes the port.
func (w *webServer) stop() {
	if w == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), httpStopTimeout)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		_ = w.server.Close() // whoever still reads is cut off
	}
	<-w.done
}

// handler is everything that can be asked. All of it is GET, or HEAD.
func (m *monitor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.metrics())
	mux.HandleFunc("GET /livez", m.livez)
	mux.HandleFunc("GET /readyz", m.readyz)
	mux.HandleFunc("GET /sd/prometheus", m.discoverPrometheus)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "sett "+versionName()+"\n\n/metrics\n/livez\n/readyz?verbose\n/sd/prometheus?service=NAME[&tag=TAG]\n")
	})
	return mux
}

// plain answers with text, which nobody should keep.
func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // whoever asked is gone where it fails
}
