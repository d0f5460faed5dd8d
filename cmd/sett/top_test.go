package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
)

// sampleAt is what a store says at a moment: so many sets, gets and questions
// for its status, and commits of a millisecond.
func sampleAt(seconds int, sets, gets, asked, commits uint64) *topSample {
	s := &topSample{
		at: time.Unix(int64(seconds), 0), status: &codec.StatusReply{StoreID: "s", Version: "v", Ready: true, Keys: 7},
		stats: &serviceStats{Started: time.Unix(1, 0)},
	}
	var h engine.Histogram
	for range commits {
		h.Observe(int64(time.Millisecond))
	}
	data, _ := json.Marshal(&figures{Commits: measure(&h, 1e4, 1e10), Events: sets, DiskFree: -1})
	s.stats.Endpoints = []endpointStats{
		{Name: "kv-set", Subject: "prod.kv.set", Requests: sets, Errors: sets / 2, Time: time.Duration(sets) * time.Millisecond},
		{Name: "kv-get", Subject: "prod.kv.get", Requests: gets, Time: time.Duration(gets) * time.Microsecond},
		{Name: "store-status", Subject: "prod.store.status", Requests: asked, Data: data},
		{Name: "svc-list", Subject: "prod.svc.list"},
	}
	return s
}

func TestTopCompare(t *testing.T) {
	f := compare(sampleAt(10, 100, 50, 3, 10), sampleAt(12, 300, 80, 5, 14))
	if f.Seconds != 2 || f.Commands != 100 || f.Reads != 15 || f.Errors != 50 || f.Keys != 7 {
		t.Errorf("%+v", f)
	}
	m := f.Measured
	if m == nil || m.Events != 100 || m.Commits != 2 || m.CommitMeanMs != 1 || m.CommitP99Ms != 1 {
		t.Errorf("measured: %+v", m)
	}
	if len(f.Endpoints) != 3 || f.Endpoints[0] != (topEndpoint{"prod.kv.set", 100, 50, 1}) {
		t.Errorf("endpoints: %+v", f.Endpoints)
	}
	if got := strings.Join(f.lines(), "\n"); !strings.Contains(got, "commands/s   100") || !strings.Contains(got, "disk free  none") {
		t.Errorf("shown as\n%s", got)
	}
}

// Where there is nothing to compare with, rates are 0 and never something that
// JSON does not know.
func TestTopCompareNothing(t *testing.T) {
	same := sampleAt(10, 100, 50, 3, 10)
	f := compare(same, same)
	if text, err := json.Marshal(f); err != nil || f.Commands != 0 || f.Measured.CommitMeanMs != 0 {
		t.Errorf("%s, %v", text, err)
	}
	again := sampleAt(12, 300, 80, 5, 14) // counted since it was started again
	again.stats.Started = time.Unix(11, 0)
	if f := compare(same, again); f.Commands != 0 || f.Seconds != 0 {
		t.Errorf("%+v", f)
	}
	if f := compare(nil, same); f.Commands != 0 || f.Keys != 7 {
		t.Errorf("%+v", f)
	}
	old := sampleAt(12, 300, 80, 5, 14)
	old.stats.Endpoints[2].Data = nil // of a store that does not tell
	f = compare(same, old)
	if f.Measured != nil || f.Commands != 100 {
		t.Errorf("%+v", f)
	}
	if got := strings.Join(f.lines(), "\n"); strings.Contains(got, "commits/s") || !strings.Contains(got, "outbox") {
		t.Errorf("shown as\n%s", got)
	}
}

func TestMeasuredAtMost(t *testing.T) {
	m := measured{Count: 100, Steps: [][2]int64{{1, 50}, {2, 98}, {5, 99}}}
	if a, b, c := m.atMost(0.5), m.atMost(0.99), m.atMost(1); a != 1 || b != 5 || c != -1 {
		t.Errorf("%d, %d, %d", a, b, c)
	}
	if (measured{}).atMost(0.5) != 0 {
		t.Error("there is nothing, but it took long")
	}
}

// Each line is placed by itself and none is wrapped, so that no terminal is too
// small; at the end it is as it was.
func TestTopScreen(t *testing.T) {
	var out bytes.Buffer
	s := openScreen(&out)
	if err := s.show(compare(sampleAt(10, 0, 0, 0, 0), sampleAt(11, 5, 0, 0, 0))); err != nil {
		t.Fatal(err)
	}
	if err := s.fail(codec.Errorf(codec.Unavailable, "gone\x1b[31m")); err != nil {
		t.Fatal(err)
	}
	s.close()
	got := out.String()
	if !strings.HasPrefix(got, screenOpen) || !strings.HasSuffix(got, screenClose) {
		t.Errorf("not opened or not closed: %q", got)
	}
	if strings.ContainsAny(got, "\n\r\t") || strings.Contains(got, "\x1b[31m") {
		t.Errorf("a line moves the cursor by itself, or an error does: %q", got)
	}
	if _, after, ok := strings.Cut(got, `gone\x1b[31m`); !ok || !strings.Contains(after, "commands/s") {
		t.Errorf("an error hides what was there before: %q", got)
	}
	for _, pair := range [][2]string{{"?1049h", "?1049l"}, {"?25l", "?25h"}, {"?7l", "?7h"}} {
		if !strings.Contains(screenOpen, pair[0]) || !strings.Contains(screenClose, pair[1]) {
			t.Errorf("%v is not taken back", pair)
		}
	}
}

// The figures of a real store, in each format.
func TestTop(t *testing.T) {
	url := serve(t, "--subject-prefix", "prod")
	t.Setenv("NATS_URL", url)
	t.Setenv("SETT_SUBJECT_PREFIX", "prod")
	do(t, "kv set a 1")
	p := start(t, "top", "-o", "json", "--interval", "100ms")
	var f topFigures
	for first := true; first || f.Revision < 3; first = false {
		do(t, "kv set a 2")
		if err := json.Unmarshal([]byte(p.stdout.await(t, "{")), &f); err != nil {
			t.Fatal(err)
		}
	}
	p.stop()
	if code := p.end(); code != 130 {
		t.Errorf("status %d: %s", code, p.stderr)
	}
	if f.StoreID == "" || !f.Ready || f.Keys != 1 || f.Seconds <= 0 || f.Feed.Mode != "durable" || f.Endpoints[0].Subject != "prod.kv.set" {
		t.Errorf("%+v", f)
	}
	if m := f.Measured; m == nil || m.DiskFree <= 0 {
		t.Errorf("measured: %+v", m)
	}
	for _, s := range []step{
		{args: "top --once --interval 100ms", stdout: "~prod.kv.set"},
		{args: "top --once --interval 100ms", stdout: "~commits/s"},
		{args: "top --interval 1ms", code: 2, stderr: "~at least 100ms"},
		{args: "top -o raw", code: 2, stderr: "~table or json"},
		{args: "top now", code: 2, stderr: "~no arguments"},
		{args: "top --once --subject-prefix other", code: 6, stderr: "~store.status"},
	} {
		s.check(t)
	}
}

// A store that goes away is told of, and taken up again when it is back.
func TestTopOutage(t *testing.T) {
	broker := plainBroker(t)
	store := func() *process {
		p := start(t, "serve", "--nats-url", broker, "--engine", "memory", "--subject-prefix", "prod", "--feed", "live")
		p.ready()
		return p
	}
	first := store()
	p := start(t, "top", "-o", "json", "--interval", "100ms", "-s", broker, "--subject-prefix", "prod")
	p.stdout.await(t, `"seconds"`)
	first.stop()
	first.end()
	p.stdout.await(t, `"error":"store.status: unavailable`)
	second := store()
	p.stdout.await(t, `"seconds"`)
	p.stop()
	p.end()
	second.stop()
	second.end()
}

// Of all stores on the NATS servers one is asked for.
func TestTopAsksOneStore(t *testing.T) {
	nc, err := nats.Connect(plainBroker(t))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := askStats(t.Context(), nc, "mine"); !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("there is none: %v", err)
	}
	_, err = nc.Subscribe(statsSubject, func(m *nats.Msg) {
		for _, answer := range []string{"{", `{"metadata":{"store_id":"theirs"}}`, `{"metadata":{"store_id":"mine"},"endpoints":[{"name":"a"}]}`} {
			_ = m.Respond([]byte(answer))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if stats, err := askStats(t.Context(), nc, "mine"); err != nil || len(stats.Endpoints) != 1 {
		t.Errorf("%+v, %v", stats, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if stats, err := askStats(ctx, nc, "nobody's"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", stats, err)
	}
}
