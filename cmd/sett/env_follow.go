package main

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/settkv/sett/subjects"
)

// told is one step of following the keys, or why that ended.
type told struct {
	subjects.Update
	err error
}

// restarting is a command that is started again when its environment changes.
type restarting struct {
	*env
	values  map[string][]byte
	loading bool     // between two whole states of the keys
	vars    []string // of the command that runs, or is to run next

	child   *child
	ending  bool // it was asked to, to be started again
	leaving bool // we were asked to end: it is not started again
	settled *time.Timer
	late    *time.Timer // the grace is over
}

// follow lists the keys and starts the command, then follows them.
func (e *env) follow(ctx context.Context, s *session, client *subjects.Client) error {
	following, cancel := context.WithCancel(context.WithoutCancel(ctx))
	updates := make(chan told)
	go func() {
		defer close(updates)
		for u, err := range client.Follow(following, e.prefix) {
			select {
			case updates <- told{u, err}:
			case <-following.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range updates { // until the goroutine is gone
		}
	}()
	signals, stop := catchSignals(ctx, relayed)
	defer stop()
	r := &restarting{
		env: e, values: make(map[string][]byte), loading: true,
		settled: stopped(), late: stopped(),
	}
	for r.loading {
		select {
		case u := <-updates:
			if u.err != nil {
				return s.failed(subjects.KVList.Subject, u.err)
			}
			r.take(u.Update)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	r.settled.Stop()
	vars, err := environment(e.prefix, r.values)
	if err != nil {
		return err
	}
	r.vars = vars
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return r.run(updates, signals)
}

// stopped is a timer that does not run.
func stopped() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// run starts the command, and again after each change, until it ends by itself
// or we are asked to end.
func (r *restarting) run(updates <-chan told, signals <-chan os.Signal) error {
	defer r.settled.Stop()
	defer r.late.Stop()
	for {
		var err error
		if r.child, err = r.a.startChild(r.argv, r.vars); err != nil {
			return err
		}
		updates = r.attend(updates, signals)
		r.late.Stop()
		if !r.ending || r.leaving {
			return r.child.status()
		}
		r.child.kill() // what it left behind would be in the way of the next
		r.ending = false
	}
}

// attend sees to one run of the command, until that has ended. It returns the
// updates that are to be read on; nil where there will be none.
func (r *restarting) attend(updates <-chan told, signals <-chan os.Signal) <-chan told {
	for {
		select {
		case <-r.child.ended():
			return updates
		case sig := <-signals:
			r.leaving = r.leaving || ends(sig)
			r.child.relay(sig)
		case u := <-updates:
			if u.err != nil {
				r.a.note("sett: cannot follow %s any more, the command runs on as it is: %v", r.prefix, u.err)
				updates = nil
				continue
			}
			r.take(u.Update)
		case <-r.settled.C:
			r.apply()
		case <-r.late.C:
			r.child.kill()
		}
	}
}

// take notes a change. It counts when the keys have settled.
func (r *restarting) take(u subjects.Update) {
	switch u.Kind {
	case subjects.Put:
		r.values[u.Key] = u.Value
	case subjects.Delete:
		delete(r.values, u.Key)
	case subjects.Reset:
		r.loading = true
	case subjects.Loaded:
		r.loading = false
	}
	if !r.loading {
		r.settled.Reset(r.settle)
	}
}

// apply ends the command if what it would get has changed.
func (r *restarting) apply() {
	if r.loading || r.leaving {
		return
	}
	vars, err := environment(r.prefix, r.values)
	switch {
	case err != nil:
		r.a.note("sett: the command runs on as it is: %v", err)
		return
	case slices.Equal(vars, r.vars):
		return
	}
	r.vars = vars
	if !r.ending {
		r.a.note("sett: %s has changed; starting the command again", r.prefix)
		r.ending = true
		r.late.Reset(r.grace)
		r.child.end()
	}
}
