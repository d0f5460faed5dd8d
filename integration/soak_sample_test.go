package integration

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// soakWatch samples a store while a soak goes on.
type soakWatch struct {
	t       testing.TB
	process *process
	http    string // --http-listen
	samples []soakRow
	begin   time.Time
}

// soakRow is a sample, or the mean of some.
type soakRow struct {
	at     time.Duration // since the beginning
	values [len(soakColumns)]float64
}

// soakColumns are what is sampled, and how much it may grow: by a share, and
// by an amount on top of it. A negative share means that it is only shown.
var soakColumns = [...]struct {
	name  string
	unit  float64
	share float64
	extra float64 // in units
}{
	{"ops/s", 1, -1, 0},
	{"RSS MiB", 1 << 10, 0.10, 64},
	{"anon MiB", 1 << 10, 0.10, 0},
	{"file MiB", 1 << 10, -1, 0},   // of tables, as long as they are there: the 64 above
	{"heap MiB", 1 << 20, 0.10, 0}, // in use; 256 MiB of it are no memory (memory.go)
	{"goroutines", 1, 0, 5},
	{"open", 1, 0, 10},
	{"sockets", 1, 0, 5},
	{"disk MiB", 1 << 20, 0.10, 64}, // half of a log, of which there are some
	{"files", 1, 0.10, 5},
	{"outbox MiB", 1 << 20, -1, 0},
	{"lag ms", 1e-3, 0, 100},
}

// Columns that other code refers to.
const (
	soakRate, soakGoroutines, soakSockets = 0, 5, 7
)

// during samples until the span is over, and tells how it goes.
func (w *soakWatch) during(l *soakLoad, span time.Duration) {
	w.t.Helper()
	w.begin = time.Now()
	tick := time.NewTicker(soakSample)
	defer tick.Stop()
	before, last := l.done.Load(), w.begin
	for time.Since(w.begin) < span {
		select {
		case <-tick.C:
		case <-w.process.exited:
			w.t.Fatalf("the store has ended: %v\n%s", w.process.err, w.process.logged())
		}
		row := w.sample()
		done, now := l.done.Load(), time.Now()
		row.values[soakRate] = float64(done-before) / now.Sub(last).Seconds()
		before, last = done, now
		w.samples = append(w.samples, row)
		w.t.Log(row.text())
	}
}

// sample reads all figures now.
func (w *soakWatch) sample() soakRow {
	w.t.Helper()
	metric := w.metrics()
	open, sockets, _ := w.descriptors()
	bytes, files := w.directory()
	return soakRow{at: time.Since(w.begin), values: [...]float64{
		0, float64(w.process.memory("VmRSS")), float64(w.process.memory("RssAnon")), float64(w.process.memory("RssFile")),
		metric["go_memstats_heap_inuse_bytes"], metric["go_goroutines"], float64(open), float64(sockets), bytes, files,
		metric["sett_feed_outbox_bytes"], metric["sett_feed_lag_seconds"],
	}}
}

// metrics are those of /metrics without labels.
func (w *soakWatch) metrics() map[string]float64 {
	w.t.Helper()
	_, body, err := page(w.t, w.http, "/metrics")
	if err != nil {
		w.t.Fatalf("/metrics: %v", err)
	}
	all := make(map[string]float64)
	for line := range strings.Lines(body) {
		if name, text, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			if value, err := strconv.ParseFloat(text, 64); err == nil {
				all[name] = value
			}
		}
	}
	return all
}

// descriptors counts the open files of the process, how many of them are
// sockets, and names those that are deleted.
func (w *soakWatch) descriptors() (open, sockets int, deleted []string) {
	w.t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", w.process.cmd.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed since
		}
		open++
		if strings.HasPrefix(target, "socket:") {
			sockets++
		}
		if strings.HasSuffix(target, " (deleted)") {
			deleted = append(deleted, target)
		}
	}
	return open, sockets, deleted
}

// directory is what the data take on the disk, and in how many files.
func (w *soakWatch) directory() (bytes, files float64) {
	w.t.Helper()
	dir := w.process.dataDir()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return nil // gone since
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return float64(diskUse(w.t, dir)), files
}

func (r soakRow) text() string {
	text := fmt.Sprintf("%5.0fs", r.at.Seconds())
	for i, c := range soakColumns {
		text += fmt.Sprintf("  %s %.0f", c.name, r.values[i]/c.unit)
	}
	return text
}

// soakMean is the mean of samples, told at the time of the last.
func soakMean(rows []soakRow) (mean soakRow) {
	for _, r := range rows {
		mean.at = r.at
		for i, v := range r.values {
			mean.values[i] += v / float64(len(rows))
		}
	}
	return mean
}

// between are the samples of a stretch of time.
func (w *soakWatch) between(from, to time.Duration) (rows []soakRow) {
	for _, r := range w.samples {
		if r.at > from && r.at <= to {
			rows = append(rows, r)
		}
	}
	return rows
}

// table has a line of means for each minute.
func (w *soakWatch) table() string {
	var text strings.Builder
	out := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(out, "minute\t")
	for _, c := range soakColumns {
		fmt.Fprint(out, c.name, "\t")
	}
	minutes := int(w.samples[len(w.samples)-1].at / time.Minute)
	for m := range minutes {
		from := time.Duration(m) * time.Minute
		fmt.Fprintf(out, "\n%d\t", m+1)
		for i, v := range soakMean(w.between(from, from+time.Minute)).values {
			fmt.Fprintf(out, "%.0f\t", v/soakColumns[i].unit)
		}
	}
	fmt.Fprintln(out)
	out.Flush()
	return text.String()
}

// judge compares the first half of what comes after the warm-up with the
// second.
func (w *soakWatch) judge(warm time.Duration) {
	w.t.Helper()
	end := w.samples[len(w.samples)-1].at
	if end < warm+4*soakSample {
		w.t.Logf("too short to tell growth from warming up, which takes %v", warm)
		return
	}
	middle := warm + (end-warm)/2
	before, after := soakMean(w.between(warm, middle)), soakMean(w.between(middle, end))
	w.t.Logf("from %v to %v:%s\nfrom then on:    %s", warm.Round(time.Second), middle.Round(time.Second), before.text(), after.text())
	for _, grown := range soakGrowth(before, after) {
		w.t.Error(grown)
	}
}

// soakGrowth lists what has grown by more than it may.
func soakGrowth(before, after soakRow) (grown []string) {
	for i, c := range soakColumns {
		b, a := before.values[i]/c.unit, after.values[i]/c.unit
		if c.share >= 0 && a > b*(1+c.share)+c.extra {
			grown = append(grown, fmt.Sprintf("%s has grown from %.1f to %.1f: %+.1f %%", c.name, b, a, 100*(a-b)/max(b, 1)))
		}
	}
	return grown
}

// TestSoakGrowth: what is judged is seen, and what is only shown is not.
func TestSoakGrowth(t *testing.T) {
	var before soakRow
	for i, c := range soakColumns {
		before.values[i] = 100 * c.unit
	}
	if grown := soakGrowth(before, before); len(grown) > 0 {
		t.Errorf("nothing has grown, and it says %q", grown)
	}
	for i, c := range soakColumns {
		after := before
		after.values[i] *= 3
		if grown := soakGrowth(before, after); (len(grown) == 1) != (c.share >= 0) {
			t.Errorf("%s is three times as much, and it says %q", c.name, grown)
		}
	}
}

// settled waits until the store has nothing left to do, and samples it.
func (w *soakWatch) settled() soakRow {
	w.t.Helper()
	before := w.sample()
	eventually(w.t, patience, func() error {
		now := w.sample()
		was := before
		before = now
		if now.values[soakGoroutines] != was.values[soakGoroutines] || now.values[soakSockets] != was.values[soakSockets] {
			return errors.New("goroutines come and go")
		}
		return nil
	})
	return before
}

// backTo waits until a store without clients has no more goroutines and
// sockets than it had before them, and keeps no file open that was deleted.
func (w *soakWatch) backTo(idle soakRow) {
	w.t.Helper()
	eventually(w.t, patience, func() error {
		now := w.sample()
		_, _, deleted := w.descriptors()
		for _, i := range []int{soakGoroutines, soakSockets} {
			if now.values[i] > idle.values[i] {
				return fmt.Errorf("with all clients gone: %s %.0f, before them %.0f", soakColumns[i].name, now.values[i], idle.values[i])
			}
		}
		if len(deleted) > 0 {
			return fmt.Errorf("with all clients gone %d deleted files are open: %v", len(deleted), deleted)
		}
		return nil
	})
	w.t.Logf("before all clients:%s\nafter them:        %s", idle.text(), w.sample().text())
}
