package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/settkv/sett/engine"
)

// check is one named condition; nil is good. What it says goes to whoever asks.
type check struct {
	name  string
	test  func() error
	minor bool // it is shown, and fails nothing else
}

// alive fails where only a new process helps.
func (m *monitor) alive() []check {
	return []check{{name: "engine", test: func() error {
		if store := m.opening(); store != nil && store.Err() != nil {
			return errors.New("it has stopped after a failed commit; the log says why")
		}
		return nil
	}}}
}

// ready fails while requests should go elsewhere, or wait.
func (m *monitor) ready() []check {
	checks := []check{
		{name: "engine", test: m.checkEngine},
		{name: "broker", test: m.checkBroker},
		{name: "subscriptions", test: m.checkSubscriptions},
		{name: "feed", test: m.checkFeed},
		{name: "writes", test: m.checkWrites},
	}
	if m.flags.engine != engine.Memory {
		checks = append(checks, check{name: "disk", test: m.checkDisk})
	}
	if m.flags.backup.dir != "" {
		checks = append(checks, check{name: "backup", test: m.checkBackup, minor: true})
	}
	return checks
}

func (m *monitor) checkEngine() error {
	store := m.opening()
	if store == nil {
		return errors.New("it is opening")
	}
	if store.Err() != nil {
		return errors.New("it has stopped after a failed commit; the log says why")
	}
	return nil
}

// checkWrites says why the engine takes no writes, as store.status does.
func (m *monitor) checkWrites() error {
	store := m.opening()
	if store == nil {
		return errors.New("the engine is opening")
	}
	if reasons := store.Status().Reasons; len(reasons) > 0 {
		return errors.New(strings.Join(reasons, "; "))
	}
	return nil
}

func (m *monitor) checkBroker() error {
	link := m.link.Load()
	switch {
	case link == nil:
		return errors.New("not yet connected")
	case !link.conn.IsConnected():
		return errors.New("the connection is lost; it is being made again")
	}
	return nil
}

func (m *monitor) checkSubscriptions() error {
	if _, ok := m.serving.Serving(); !ok {
		return errors.New("requests are not taken: the store is starting or stopping")
	}
	return nil
}

func (m *monitor) checkFeed() error {
	if s, ok := m.serving.Serving(); !ok || !s.FeedConnected {
		return errors.New("changes are not announced")
	}
	return nil
}

func (m *monitor) checkDisk() error {
	store := m.opening()
	if store == nil {
		return errors.New("not yet looked at")
	}
	if g := store.Gauges(); g.DiskLow {
		return fmt.Errorf("only %s are free", size(int(g.DiskFree)))
	}
	return nil
}

// checkBackup tells of the schedule. Why one failed may be nobody's business.
func (m *monitor) checkBackup() error {
	if !m.backups.failing.Load() {
		return nil
	}
	newest := "there is none"
	if last := m.backups.last.Load(); last != 0 {
		newest = "the newest is of " + time.UnixMilli(last).UTC().Format(time.RFC3339)
	}
	return fmt.Errorf("the last backup failed, and %s; the log says why", newest)
}

func (m *monitor) livez(w http.ResponseWriter, r *http.Request) { health(w, r, "livez", m.alive()) }

func (m *monitor) readyz(w http.ResponseWriter, r *http.Request) { health(w, r, "readyz", m.ready()) }

// health answers as Kubernetes' own servers do: ok, or 503 with a line for each
// check; ?verbose shows the lines in any case, ?exclude=NAME leaves one out.
func health(w http.ResponseWriter, r *http.Request, name string, checks []check) {
	asked := r.URL.Query()
	excluded := asked["exclude"]
	var lines strings.Builder
	failed := false
	for _, c := range checks {
		if i := slices.Index(excluded, c.name); i >= 0 {
			excluded = slices.Delete(slices.Clone(excluded), i, i+1)
			fmt.Fprintf(&lines, "[+]%s excluded: ok\n", c.name)
			continue
		}
		if err := c.test(); err != nil && c.minor {
			fmt.Fprintf(&lines, "[!]%s failed, and %s does not: %v\n", c.name, name, err)
			continue
		} else if err != nil {
			failed = true
			fmt.Fprintf(&lines, "[-]%s failed: %v\n", c.name, err)
			continue
		}
		fmt.Fprintf(&lines, "[+]%s ok\n", c.name)
	}
	for _, unknown := range excluded {
		fmt.Fprintf(&lines, "warn: there is no check %q to exclude\n", unknown)
	}
	switch {
	case failed:
		plain(w, http.StatusServiceUnavailable, lines.String()+name+" check failed\n")
	case asked.Has("verbose"):
		plain(w, http.StatusOK, lines.String()+name+" check passed\n")
	default:
		plain(w, http.StatusOK, "ok")
	}
}
