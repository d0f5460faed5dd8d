package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// How long who waits for a lock sleeps, unless an event says that it is free.
const (
	minLockPause = 500 * time.Millisecond
	maxLockPause = 30 * time.Second
)

// acquire gets the lock, or says why not. It watches the key's events, and
// looks again at the holder's deadline, for an event may get lost.
func (l *lock) acquire(ctx context.Context) error {
	began := time.Now()
	for tries := 0; ; tries++ {
		owner, pause, err := l.try(ctx)
		switch {
		case ctx.Err() != nil:
			if err == nil {
				l.release(l.a.timeout)
			}
			return ctx.Err()
		case err == nil:
			return nil
		case !errors.Is(err, codec.ErrConflict) && !worthWaiting(err, tries):
			return err
		}
		if l.wait != nil {
			left := *l.wait - time.Since(began)
			if left <= 0 {
				return l.notGot(owner, err)
			}
			pause = min(pause, left)
		}
		if tries == 0 {
			l.noteWaiting(owner, err)
			if err := l.watch(); err != nil {
				return err
			}
			continue // it may have gone before the subscription stood
		}
		if err := l.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// try asks for the lock. Where another has it, it says who, and how long to
// wait for the deadline. What is not known is guessed.
func (l *lock) try(ctx context.Context) (owner *holder, pause time.Duration, err error) {
	owner = &holder{}
	err = l.create()
	if err == nil {
		return owner, 0, l.fresh()
	}
	if !errors.Is(err, codec.ErrConflict) {
		return owner, minLockPause, err
	}
	entry, failed := ask(ctx, l.s, subjects.KVGet, &codec.Get{Key: l.key})
	switch {
	case errors.Is(failed, codec.ErrNotFound):
		return owner, 0, err // gone already
	case failed != nil:
		return owner, minLockPause, err
	}
	if json.Unmarshal(entry.Value, owner) != nil {
		*owner = holder{} // somebody else's value
	}
	if owner.ID == l.id { // a create got it whose answer did not come: ours since that was sent
		l.revision, l.sent = entry.Revision, l.unclear
		return owner, 0, l.fresh()
	}
	return owner, pauseFor(&entry.Entry, time.Now()), err
}

// fresh gives back a lock whose TTL has begun too long ago to be of use.
func (l *lock) fresh() error {
	l.unclear = instant{}
	if now().since(l.sent) < l.ttl/3 {
		return nil
	}
	l.release(l.a.timeout)
	return &failure{subject: subjects.KVSet.Subject, write: true,
		err: codec.Errorf(codec.Timeout, "the store took longer to answer than a lock of %s allows", span(l.ttl))}
}

// notGot says why the lock was not got in time.
func (l *lock) notGot(owner *holder, err error) error {
	if !errors.Is(err, codec.ErrConflict) {
		return err
	}
	e := &exitError{status: exitNotLocked, text: fmt.Sprintf("%s is held by %v", l.key, owner)}
	e.hint = "the command did not run; waited for " + span(*l.wait)
	if *l.wait == 0 {
		e.hint = "the command did not run; --wait DURATION waits for the lock"
	}
	return e
}

// worthWaiting says that a store which was there may come back. Where a create
// had no answer the lock may be ours already, so it must be asked again.
func worthWaiting(err error, tries int) bool {
	failed, ok := errors.AsType[*codec.Error](err)
	return ok && (failed.Temporary && tries > 0 || mayHaveHappened(err))
}

func (l *lock) noteWaiting(owner *holder, err error) {
	if errors.Is(err, codec.ErrConflict) {
		l.a.note("sett: waiting for %s, held by %v", l.key, owner)
		return
	}
	l.a.note("sett: waiting for %s: %v", l.key, err)
}

// sleep waits until it is worth to try again.
func (l *lock) sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.nudge:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// watch makes the end of the key a nudge. A user who may not subscribe waits
// for the deadlines alone.
func (l *lock) watch() error {
	subject := subjects.Announced(l.s.prefix, &codec.Event{Kind: codec.KeyEvent, Name: l.key})
	_, err := l.s.nc.Subscribe(subject, func(m *nats.Msg) {
		change, err := subjects.KVChanged.Decode(m.Data)
		if err == nil && change.Op != codec.OpSet {
			l.poke()
		}
	})
	if err != nil {
		return connectFailure(l.s.where(), err)
	}
	_ = l.s.nc.FlushTimeout(l.s.timeout) // without a connection: there is a nudge when it is back
	return nil
}

// pauseFor is the time to a lock's deadline, which is one of the store's clock:
// where ours differs too much the whole TTL is waited for.
func pauseFor(entry *codec.Entry, now time.Time) time.Duration {
	if entry.ExpiresAtMs == 0 {
		return maxLockPause
	}
	ttl := time.Duration(entry.TTLMs) * time.Millisecond
	left := time.UnixMilli(entry.ExpiresAtMs).Sub(now)
	if left <= 0 || left > ttl {
		left = ttl
	}
	return min(max(left, minLockPause), maxLockPause)
}
