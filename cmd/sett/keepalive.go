package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"time"

	"github.com/settkv/sett/codec"
)

// keepAlive renews the registration of an instance until it is stopped or its
// command ends, and then takes it back. It cannot be lost: what has expired is
// registered again.
type keepAlive struct {
	what        string // for notes
	ttl         time.Duration
	beat        func(context.Context) error
	register    func(context.Context) error // where a beat says not_found
	deregister  func(context.Context) error
	reconnected <-chan struct{} // beat now
	note        func(format string, args ...any)

	troubled bool // it was told that beats fail
}

// run returns when the command has ended; without one ([untilSignal]) at the
// first signal that says so. The error says why the registration stays.
func (k *keepAlive) run(c command, signals <-chan os.Signal) error {
	k.keep(c, signals)
	// The others learn it now, not when the command has ended in its own time.
	left := make(chan error, 1)
	go func() { left <- k.deregister(context.Background()) }()
	await(c, signals)
	return <-left
}

// keep beats until the command has ended or is asked to. No beat is on its way
// when it returns, which could register again.
func (k *keepAlive) keep(c command, signals <-chan os.Signal) {
	ctx, cancel := context.WithCancel(context.Background())
	beats, pause := make(chan error, 1), time.NewTimer(k.pause(nil))
	defer pause.Stop()
	asking := false
	defer func() {
		cancel()
		if asking {
			<-beats
		}
	}()
	for {
		select {
		case <-c.ended():
			return
		case sig := <-signals:
			c.relay(sig)
			if ends(sig) {
				return
			}
		case <-k.reconnected:
			pause.Reset(0)
		case <-pause.C:
			if !asking { // or its end will say when to go on
				asking = true
				go func() { beats <- k.once(ctx) }()
			}
		case err := <-beats:
			asking = false
			pause.Reset(k.pause(err))
		}
	}
}

// pause is the time between two beats: a third of the TTL, give or take, so
// that what was started together does not beat together for ever; and less
// after a failure, as the TTL runs.
func (k *keepAlive) pause(err error) time.Duration {
	d := k.ttl / 3
	if err != nil {
		d = min(max(k.ttl/10, 100*time.Millisecond), d)
	}
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

// once beats, and registers where there is nothing to renew. It tells when
// that begins to fail, and when it works again.
func (k *keepAlive) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(k.ttl/3, 100*time.Millisecond))
	defer cancel()
	err, how := k.beat(ctx), "renewed"
	expired := errors.Is(err, codec.ErrNotFound)
	if expired {
		err, how = k.register(ctx), "registered"
	}
	switch {
	case err == nil && (k.troubled || expired):
		k.troubled = false
		k.note("sett: %s is %s again", k.what, how)
	case err != nil && !k.troubled && !errors.Is(err, context.Canceled):
		k.troubled = true
		k.note("sett: %s is not renewed, trying again: %v", k.what, err)
	}
	return err
}
