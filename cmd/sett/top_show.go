package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// jsonTop writes a line of JSON for each interval.
type jsonTop struct{ a *app }

func (j *jsonTop) show(f *topFigures) error { return json.NewEncoder(j.a.stdout).Encode(f) }

func (j *jsonTop) fail(err error) error {
	return json.NewEncoder(j.a.stdout).Encode(map[string]any{"time_ms": time.Now().UnixMilli(), "error": err.Error()})
}

func (j *jsonTop) close() {}

// tableTop writes tables, with an empty line behind each but the only one.
type tableTop struct {
	a     *app
	shown bool
}

func (t *tableTop) show(f *topFigures) error {
	lines := f.lines()
	if t.shown {
		lines = append([]string{""}, lines...)
	}
	t.shown = true
	return t.a.println(strings.Join(lines, "\n"))
}

func (t *tableTop) fail(err error) error {
	t.a.complain(err, "")
	return nil
}

func (t *tableTop) close() {}

// What a terminal is told. Lines are not wrapped: what does not fit a narrow
// one is cut off at its right edge, and each line is placed by its number, so
// that a low one does not scroll. No size is needed for either.
const (
	screenOpen  = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J" // another page, no cursor, no wrapping, empty
	screenClose = "\x1b[?7h\x1b[?25h\x1b[?1049l"        // all of it back
	lineEnd     = "\x1b[K"                              // clear what was there before
	screenEnd   = "\x1b[J"
)

// screen draws views over each other.
type screen struct {
	out  io.Writer
	last []string // of the last interval with an answer
}

func openScreen(out io.Writer) *screen {
	_, _ = io.WriteString(out, screenOpen) // drawing will fail too
	return &screen{out: out}
}

func (s *screen) show(f *topFigures) error {
	s.last = f.lines()
	return s.draw(s.last)
}

// fail leaves the last view below the error.
func (s *screen) fail(err error) error {
	at := time.Now().Format(time.TimeOnly)
	return s.draw(append([]string{at + "  " + printable([]byte(err.Error())), "", "before that:"}, s.last...))
}

func (s *screen) draw(lines []string) error {
	var b bytes.Buffer
	for i, line := range lines {
		fmt.Fprintf(&b, "\x1b[%d;1H%s%s", i+1, line, lineEnd)
	}
	fmt.Fprintf(&b, "\x1b[%d;1H%s", len(lines)+1, screenEnd)
	_, err := s.out.Write(b.Bytes())
	return err
}

func (s *screen) close() { _, _ = io.WriteString(s.out, screenClose) }

// lines are the figures for people.
func (f *topFigures) lines() []string {
	ready := "ready"
	if !f.Ready {
		ready = "NOT READY: " + printable([]byte(strings.Join(f.Reasons, "; ")))
	}
	title := fmt.Sprintf("%s  store %s (%s), up for %s, %s", time.UnixMilli(f.TimeMs).Format(time.TimeOnly), f.StoreID,
		f.Version, span(time.Duration(f.UptimeMs)*time.Millisecond), ready)
	lines := append([]string{title, ""}, layout(f.pairs(), 0)...)
	if len(f.Endpoints) == 0 {
		return lines
	}
	rows := [][]string{{"SUBJECT", "A SECOND", "ERRORS", "MEAN"}}
	for _, e := range f.Endpoints {
		mean := ""
		if e.MeanMs > 0 {
			mean = timeOf(e.MeanMs)
		}
		rows = append(rows, []string{e.Subject, perSecond(e.Rate), perSecond(e.Errors), mean})
	}
	return append(append(lines, ""), layout(rows, 0)...)
}

// pairs are names and figures, two pairs in a row.
func (f *topFigures) pairs() [][]string {
	keys, instances := number(f.Keys), number(f.Instances)
	outbox := one("change", f.Feed.OutboxRevisions) + ", " + size(int(f.Feed.OutboxBytes))
	lag := span(time.Duration(f.Feed.LagMs) * time.Millisecond)
	m := f.Measured
	if m == nil {
		return [][]string{
			{"commands/s", perSecond(f.Commands), "keys", keys},
			{"reads/s", perSecond(f.Reads), "instances", instances},
			{"errors/s", perSecond(f.Errors), "size", size(int(f.Bytes))},
			{"feed", f.Feed.Mode, "feed lag", lag},
			{"revision", number(f.Revision), "outbox", outbox},
		}
	}
	disk := "none"
	if m.DiskFree >= 0 {
		disk = size(int(m.DiskFree))
	}
	return [][]string{
		{"commands/s", perSecond(f.Commands), "keys", keys},
		{"reads/s", perSecond(f.Reads), "instances", instances},
		{"errors/s", perSecond(f.Errors), "size", size(int(f.Bytes))},
		{"events/s", perSecond(m.Events), "disk free", disk},
		{"expired/s", perSecond(m.Expired), "revision", number(f.Revision)},
		{"commits/s", perSecond(m.Commits), "feed", f.Feed.Mode},
		{"a commit", fmt.Sprintf("%.1f commands", m.PerCommit), "feed lag", lag},
		{"  mean", timeOf(m.CommitMeanMs), "outbox", outbox},
		{"  99 %", "<= " + timeOf(m.CommitP99Ms), "queued", fmt.Sprintf("%d commands, %d reads", m.Queued.Commands+m.Queued.Writer, m.Queued.Reads)},
		{"  under way", timeOf(m.CommitAgeMs), "lost", one("request", int64(m.Lost))},
	}
}

// perSecond shows a rate: small ones with a digit behind the point.
func perSecond(rate float64) string {
	if rate > 0 && rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

// timeOf shows milliseconds in the unit that suits them.
func timeOf(ms float64) string {
	d := time.Duration(ms * float64(time.Millisecond))
	switch {
	case d == 0:
		return "0"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
