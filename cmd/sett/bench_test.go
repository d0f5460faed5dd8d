package main

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

// A short run on a real store: every row has figures, and nothing is left.
func TestBench(t *testing.T) {
	t.Setenv("NATS_URL", serve(t, "--subject-prefix", "prod"))
	t.Setenv("SETT_SUBJECT_PREFIX", "prod")
	do(t, "kv set mine 1")
	got := sett(t, "", words("bench --seconds 0.3 --clients 4 --connections 2 --keys 50 --value-bytes 20 -o json")...)
	var r benchReport
	if err := json.Unmarshal([]byte(got.stdout), &r); got.code != 0 || err != nil {
		t.Fatalf("status %d, %v: %s", got.code, err, got.stderr)
	}
	if r.StoreID == "" || r.Feed != "durable" || r.Connections != 2 || len(r.Rows) != 6 {
		t.Errorf("%+v", r)
	}
	for _, row := range r.Rows {
		isEcho := row.Name == "echo" || row.Name == "echo, 1 client"
		if row.Requests == 0 || row.P50Ms <= 0 || row.P99Ms < row.P50Ms || isEcho != (row.Ratio == nil) {
			t.Errorf("%+v", row)
		}
	}
	if batch := r.Rows[5]; batch.Name != "batch.apply of 50" || batch.Ops < 49*batch.Rate {
		t.Errorf("%+v", batch)
	}
	if !fits(got.stderr, "~writing keys below sett-bench/ to store "+r.StoreID) {
		t.Errorf("it does not say that it writes: %q", got.stderr)
	}
	step{args: "kv list -o raw", stdout: "mine\n"}.check(t)
	step{args: "bench --seconds 0.1 --clients 1 --keys 1 --value-bytes 0", stdout: "~OF ECHO", stderr: "~writing keys"}.check(t)
	step{args: "kv list -o raw", stdout: "mine\n"}.check(t)
}

// What lies there already is somebody's.
func TestBenchRefuses(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	do(t, "kv set sett-bench/x 1")
	for _, s := range []step{
		{args: "bench", code: 2, stderr: "~there are keys below sett-bench/ already"},
		{args: "kv get sett-bench/x", stdout: "1"},
		{args: "bench --prefix a", code: 2, stderr: "~must end in /"},
		{args: "bench --prefix ''", code: 2, stderr: "~must end in /"},
		{args: "bench --clients 0", code: 2, stderr: "~--clients is 0, but must be 1 to 10000"},
		{args: "bench --seconds 0", code: 2, stderr: "~--seconds is 0"},
		{args: "bench --seconds NaN", code: 2, stderr: "~--seconds is NaN"},
		{args: "bench --value-bytes 600000", code: 2, stderr: "~--value-bytes is 600000"},
		{args: "bench -o raw", code: 2, stderr: "~table or json"},
	} {
		s.check(t)
	}
}

// Ctrl-C ends it, but not before its keys are gone.
func TestBenchInterrupted(t *testing.T) {
	url := serveMemory(t)
	t.Setenv("NATS_URL", url)
	watch := start(t, "watch", "sett-bench/", "--count", "1", "-s", url)
	watch.stderr.await(t, "watching")
	p := start(t, "bench", "--seconds", "3600", "--keys", "1000", "-s", url)
	watch.stdout.await(t, "sett-bench/")
	p.stop()
	if code := p.end(); code != 130 || fits(p.stderr.String(), "~signal") {
		t.Errorf("status %d: %s", code, p.stderr)
	}
	watch.end()
	step{args: "kv list -o raw"}.check(t)
}

func TestLatencies(t *testing.T) {
	var l latencies
	for range 10_000 {
		l.note(time.Duration(rand.Int64N(int64(time.Second))))
	}
	for _, share := range []float64{0.5, 0.99} {
		want := time.Duration(share * float64(time.Second))
		if got := l.atMost(share); got < want*9/10 || got > want*11/10 {
			t.Errorf("%v of all are below %v, not %v", share, want, got)
		}
	}
	for _, d := range []time.Duration{0, 1, 31, 32, 63, 64, 65, 127, 128, 1000, 123_456_789, time.Hour} {
		if got := latencyOf(latencyBucket(uint64(d))); got < d*97/100 || got > d*103/100+1 {
			t.Errorf("%d is noted as %d", d, got)
		}
	}
	if (&latencies{}).atMost(0.5) != 0 {
		t.Error("nothing took long")
	}
	l.note(-1)
	l.note(1<<63 - 1)
}

// Whoever interrupts it knows why it ends; whatever else goes wrong is told.
func TestBenchTogether(t *testing.T) {
	ctx, interrupt := context.WithCancelCause(t.Context())
	broken := errors.New("broken")
	err := (&bench{}).together(ctx, 3, func(ctx context.Context, number int) error {
		if number == 1 {
			return broken
		}
		<-ctx.Done()
		return nil
	})
	if err != broken {
		t.Errorf("%v, want %v", err, broken)
	}
	err = (&bench{}).together(ctx, 3, func(ctx context.Context, number int) error {
		interrupt(errors.New("interrupt signal received"))
		<-ctx.Done()
		return ctx.Err()
	})
	if err != context.Canceled {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

// The events of the load are not those that are waited for.
func TestBenchEvents(t *testing.T) {
	b := &bench{a: &app{timeout: patience, connect: connectFlags{server: serveMemory(t)}}, prefix: "sett-bench/", clients: 1, connections: 1, keys: 1}
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	defer b.close()
	tap, err := b.tapEvents()
	if err != nil {
		t.Fatal(err)
	}
	defer tap.s.close()
	ask := func(subject string, payload func(*benchWork) []byte) func() error { return b.asks(subject, payload)(0) }
	if err := ask("kv.set", (*benchWork).set)(); err != nil {
		t.Fatal(err)
	}
	if err := tap.after(ask("kv.set", (*benchWork).setEvent), patience); err != nil {
		t.Fatal(err)
	}
	if err := tap.after(ask("kv.get", (*benchWork).get), time.Millisecond); err == nil {
		t.Error("a key of the load has an event here")
	}
}
