package main

import (
	"context"
	"errors"
	"os"
	"time"
)

// hold keeps a lock while a command runs.
//
// # Safety
//
// The store lets nobody else have the lock before the TTL has passed since it
// applied our last renewal, which is after we sent it. So by the time that the
// TTL has passed since the last renewal was sent that the store acknowledged,
// on either of our clocks, the command must be dead. Everything else is only
// there so that it does not come to this: renewing at a third of the TTL,
// trying again when that fails, and asking the command to end (SIGTERM) when
// two thirds are over, for then there is still time to do it in order.
//
// What happened while this process was stopped is seen before anything else is
// done: the clocks are read at every turn of the loop, first.
type hold struct {
	ttl   time.Duration
	renew func(context.Context) error // asks the store once
	now   func() instant

	sent  instant // when the last renewal was sent that was acknowledged
	tried instant // when the last one was sent
}

var (
	errGone       = errors.New("somebody has removed or replaced it")
	errTooLate    = errors.New("its TTL is over: this process, the machine or its clock was stopped or set")
	errNotRenewed = errors.New("it could not be renewed in time")
)

// tick is how often the clocks are looked at: at most 4 times a second, for
// some locks are held for days.
func (h *hold) tick() time.Duration { return min(h.ttl/20, 250*time.Millisecond) }

// lost is true one tick early: the next look would be too late.
func (h *hold) lost(now instant) bool { return now.since(h.sent) >= h.ttl-h.tick() }

// endangered says that it is time to end in order. A clock that was set is no
// reason for that.
func (h *hold) endangered(now instant) bool { return now.mono-h.sent.mono >= h.ttl*2/3 }

func (h *hold) due(now instant) bool {
	return now.since(h.sent) >= h.ttl/3 && now.since(h.tried) >= 2*h.tick()
}

// renewal is what came of asking for one.
type renewal struct {
	sent instant
	err  error
}

// run returns when the command has ended: nil if it did so while the lock was
// held, otherwise why it was lost, and then nothing of its process group runs
// any more.
func (h *hold) run(c command, signals <-chan os.Signal) error {
	ticker := time.NewTicker(h.tick())
	defer ticker.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	var asked <-chan renewal // of the one that is on its way
	defer func() {
		cancel()
		if asked != nil {
			<-asked
		}
	}()
	var failed error // why the command was asked to end
	for {
		now := h.now()
		if h.lost(now) {
			if failed == nil {
				failed = errTooLate
			}
			return h.kill(c, failed)
		}
		if failed == nil && h.endangered(now) {
			failed = errNotRenewed
			c.end()
		}
		if asked == nil && h.due(now) {
			asked = h.ask(ctx, now)
		}
		select {
		case <-ticker.C:
		case <-c.ended():
			if failed != nil || h.lost(h.now()) {
				return h.kill(c, failed)
			}
			return nil
		case sig := <-signals:
			if !h.lost(h.now()) { // a command that is stopped must not go on
				c.relay(sig)
			}
		case r := <-asked:
			asked = nil
			switch {
			case gone(r.err):
				return h.kill(c, errGone)
			case r.err == nil && failed == nil: // else the time to end stays what it was
				h.sent = r.sent
			}
		}
	}
}

// kill ends the command, and what it left behind in its process group.
func (h *hold) kill(c command, why error) error {
	if why == nil {
		why = errTooLate
	}
	c.kill()
	<-c.ended()
	return why
}

// ask renews in the background, once. The time that counts is the one before
// anything was sent.
func (h *hold) ask(ctx context.Context, now instant) <-chan renewal {
	h.tried = now
	asked := make(chan renewal, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, h.ttl/4)
		defer cancel()
		asked <- renewal{now, h.renew(ctx)}
	}()
	return asked
}
