package main

import (
	"context"
	"time"
)

// instant is a moment on two clocks. The monotonic one stands still while the
// machine is suspended; the wall clock does not, but may be set.
type instant struct{ mono, wall time.Duration }

// processStart is where the monotonic clock begins.
var processStart = time.Now()

func now() instant {
	t := time.Now()
	return instant{mono: t.Sub(processStart), wall: time.Duration(t.UnixNano())}
}

// since is the time from another instant to this one, by the clock that says
// more: who must not be late believes that one.
func (i instant) since(from instant) time.Duration {
	return max(i.mono-from.mono, i.wall-from.wall)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
