package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progressAfter is how long work takes before its progress is shown.
const progressAfter = time.Second

// newProgress shows on a terminal how far some work is. It draws only while
// add is called, so that it owns no goroutine; the caller clears it at the
// end. A total of 0 is one that nobody knows.
func (a *app) newProgress(what string, total int64, bytes bool) *progress {
	if a.quiet || !isTerminal(a.stderr) {
		return &progress{}
	}
	return drawProgress(a.stderr, what, total, bytes, progressAfter)
}

// barWidth leaves room for what stands around the bar, on one line: one that
// wraps is not drawn over but again.
func barWidth(to io.Writer) int {
	const most, around = 30, 50
	if width := terminalWidth(to); width > 0 {
		return max(1, min(most, width-around))
	}
	return most
}

// progress is a bar, or nothing.
type progress struct{ bar *progressbar.ProgressBar }

func drawProgress(to io.Writer, what string, total int64, bytes bool, after time.Duration) *progress {
	if total <= 0 {
		total = -1
	}
	return &progress{progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(&lateWriter{to, time.Now().Add(after)}),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(barWidth(to)),
		progressbar.OptionShowCount(),
		progressbar.OptionShowBytes(bytes),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0), // else it draws from a goroutine
		progressbar.OptionClearOnFinish(),
	)}
}

func (p *progress) add(n int64) {
	if p.bar != nil {
		_ = p.bar.Add64(n) // there may be more than was counted
	}
}

// clear takes the bar off the terminal.
func (p *progress) clear() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}

// lateWriter drops what is written before its time.
type lateWriter struct {
	to   io.Writer
	from time.Time
}

func (w *lateWriter) Write(b []byte) (int, error) {
	if time.Now().Before(w.from) {
		return len(b), nil
	}
	return w.to.Write(b)
}
