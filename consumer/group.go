package consumer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// group is the one place that starts goroutines. The first that fails cancels
// the context.
type group struct {
	ctx    context.Context
	cancel context.CancelFunc

	once sync.Once
	err  error // of the first that failed; to be read when all have ended
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.ctx, g.cancel = context.WithCancel(ctx)
	return g
}

// Go starts f and returns a channel that is closed when it has returned.
func (g *group) Go(name string, f func() error) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(); err != nil {
			g.once.Do(func() { g.err = fmt.Errorf("consumer: %s: %w", name, err) })
			g.cancel()
		}
	}()
	return done
}

// flight counts the commands that the engine has. One goroutine submits them
// and others finish them; neither writes the other's counter, and nobody is
// woken but at the end.
type flight struct {
	submitted uint64 // the intake's own
	_         [56]byte
	finished  atomic.Uint64
	_         [56]byte
	last      atomic.Uint64 // of finished, with which all are; set at the end
	once      sync.Once
	landed    chan struct{}
}

func newFlight() *flight {
	f := &flight{landed: make(chan struct{})}
	f.last.Store(^uint64(0))
	return f
}

func (f *flight) submit() { f.submitted++ }

// finish says that a command was answered, or not submitted after all.
func (f *flight) finish() {
	if f.finished.Add(1) == f.last.Load() {
		f.once.Do(func() { close(f.landed) })
	}
}

// land returns a channel that is closed when all are finished. Nothing may be
// submitted any more.
func (f *flight) land() <-chan struct{} {
	f.last.Store(f.submitted)
	if f.finished.Load() == f.submitted {
		f.once.Do(func() { close(f.landed) })
	}
	return f.landed
}

// limiter lets so many events a second through.
type limiter struct {
	most int

	mu     sync.Mutex
	second int64
	passed int
}

func (l *limiter) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if second := now.Unix(); second != l.second {
		l.second, l.passed = second, 0
	}
	l.passed++
	return l.passed <= l.most
}
