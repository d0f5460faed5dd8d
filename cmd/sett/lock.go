package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// lockPrefix is where the keys of locks lie.
const lockPrefix = "lock/"

// minLockTTL leaves a renewal time enough to be late.
const minLockTTL = time.Second

func (a *app) lockCommand() *cobra.Command {
	l := &lock{a: a, ttl: 15 * time.Second}
	cmd := &cobra.Command{
		Use:   "lock NAME -- COMMAND ARGS",
		Short: "Run a command while holding a lock",
		Long: `Run a command while holding a lock, which is the key lock/NAME with a TTL. Of
all who do so on one store one runs its command at a time; who waits gets the
lock when it is free, in no promised order.

While the command runs the lock is renewed. If that fails the command gets a
SIGTERM when two thirds of the TTL are over, and at its end SIGKILL, with its
whole process group: before anyone else can have the lock. The same happens at
once where the lock was taken away, and where this process or the machine was
stopped for longer than the TTL (or the clock set ahead by as much). When this
process is killed (SIGKILL) Linux kills the command too, but not what that has
started itself; elsewhere the command goes on without the lock.

So guard what it writes: a command that was stopped may wake up when another
holds the lock. SETT_LOCK_REVISION is its fencing token, greater for each holder
than for the one before. The store checks it with every write of

  sett batch apply ops.json --if "$SETT_LOCK_KEY=$SETT_LOCK_REVISION"

and anything else can refuse a token that is lower than one it has seen.
SETT_LOCK_NAME is NAME.

SIGINT, SIGTERM and SIGHUP go to the command; when it has ended the lock is
released. Status: the command's (128 and the signal's number if one ended it), 4
the lock was not got within --wait, 9 it was lost, 130 interrupted while waiting
for it, 126 and 127 the command cannot be run. How to do the same from any
language: README.md.`,
		Example: `  sett lock nightly -- ./backup.sh
  sett lock deploy/web --wait 1m -- ./deploy.sh v2
  sett lock leader --ttl 5s -- ./scheduler
  sett lock cleanup --wait 0 -- ./cleanup.sh`,
		Args: thenCommand("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l.name, l.key, l.argv = args[0], lockPrefix+args[0], args[1:]
			if err := codec.ValidateKey(l.key); err != nil {
				return usagef(cmd, "NAME: %v", err)
			}
			if l.ttl < minLockTTL {
				return usagef(cmd, "--ttl must be at least %v", minLockTTL)
			}
			return l.run(cmd.Context())
		},
	}
	addDuration(cmd.Flags(), "ttl", "`DURATION` that it outlives a holder that dies", &l.ttl)
	cmd.Flags().Var(&fieldValue{set: func(s string) error { return parseInto(&l.wait, s, parseSpan) }},
		"wait", "wait at most `DURATION` for it; 0: not at all (default: as long as it takes)")
	return cmd
}

// lock is one run of `sett lock`.
type lock struct {
	a         *app
	s         *session
	name, key string
	argv      []string
	ttl       time.Duration
	wait      *time.Duration // nil: without end

	id       string  // of this run
	revision uint64  // of the key while we hold it: the fencing token
	sent     instant // when what got it was sent
	unclear  instant // when the first create was sent whose outcome is unknown
	troubled bool    // it was told that the lock cannot be renewed
	nudge    chan struct{}
}

// holder is the value of a lock's key: who has it, for people. The id tells
// our own from another's.
type holder struct {
	Host string `json:"host"`
	PID  int    `json:"pid"`
	Time string `json:"time"`
	ID   string `json:"id"`
}

func (h *holder) String() string {
	if h.Host == "" && h.PID == 0 {
		return "somebody"
	}
	return fmt.Sprintf("%s (pid %d) since %s", printable([]byte(h.Host)), h.PID, printable([]byte(h.Time)))
}

func (l *lock) run(ctx context.Context) (err error) {
	l.id, l.nudge = nuid.Next(), make(chan struct{}, 1)
	l.s, err = l.a.open(append(lasting(l.ttl), nats.ReconnectHandler(func(*nats.Conn) { l.poke() }))...)
	if err != nil {
		return err
	}
	defer l.s.close()
	if err := l.acquire(ctx); err != nil {
		return err
	}
	signals, stop := catchSignals(ctx, relayed)
	defer stop()
	if ctx.Err() != nil {
		l.release(l.a.timeout)
		return ctx.Err()
	}
	c, err := l.a.startChild(l.argv, []string{
		"SETT_LOCK_KEY=" + l.key, "SETT_LOCK_NAME=" + l.name, "SETT_LOCK_REVISION=" + number(l.revision),
	})
	if err != nil {
		l.release(l.a.timeout)
		return err
	}
	h := &hold{ttl: l.ttl, renew: l.renew, now: now, sent: l.sent, tried: l.sent}
	lost := h.run(c, signals)
	switch {
	case lost != nil:
		l.release(time.Second) // in case that it is ours still
	case !l.release(l.a.timeout):
		lost = errGone
	default:
		return c.status()
	}
	return &exitError{status: exitLost, text: fmt.Sprintf("%s: the lock was lost, and the command ended: %v", l.key, lost)}
}

// poke makes who waits try again.
func (l *lock) poke() {
	select {
	case l.nudge <- struct{}{}:
	default:
	}
}

// renew asks once to renew the lock. It says on the standard error when that
// begins to fail, here and not in the loop of [hold]: writing may block.
func (l *lock) renew(ctx context.Context) error {
	ttl := codec.Millis(l.ttl)
	_, err := ask(ctx, l.s, subjects.KVTouch, &codec.Touch{Key: l.key, TTLMs: &ttl, IfRevision: &l.revision})
	switch {
	case gone(err): // [hold] ends it all
	case err == nil && l.troubled:
		l.troubled = false
		l.a.note("sett: %s is renewed again", l.key)
	case err != nil && !l.troubled && !errors.Is(err, context.Canceled):
		l.troubled = true
		l.a.note("sett: %s cannot be renewed: %v", l.key, err)
	}
	return err
}

// release gives the lock back, and reports whether it was ours until then, as
// far as that is known.
func (l *lock) release(within time.Duration) (stillOurs bool) {
	// Not the context of the run: that may have ended.
	ctx, cancel := context.WithTimeout(context.Background(), min(within, l.ttl))
	defer cancel()
	_, err := ask(ctx, l.s, subjects.KVDelete, &codec.Delete{Key: l.key, IfRevision: &l.revision})
	switch {
	case gone(err):
		return false
	case err != nil:
		l.a.note("sett: %s is not released, but goes by itself within %s: %v", l.key, span(l.ttl), err)
	}
	return true
}

// gone says that a record is not the one that the command was for.
func gone(err error) bool {
	return errors.Is(err, codec.ErrConflict) || errors.Is(err, codec.ErrNotFound)
}

// create asks once for the lock.
func (l *lock) create() error {
	host, _ := os.Hostname() // who has none stays unnamed
	value, err := json.Marshal(holder{host, os.Getpid(), time.Now().Format(time.RFC3339), l.id})
	if err != nil {
		return err
	}
	sent := now()
	// An interrupted create might leave a lock that nobody holds; it is not
	// long.
	resp, err := ask(context.Background(), l.s, subjects.KVSet,
		&codec.Set{Key: l.key, Value: value, TTLMs: codec.Millis(l.ttl), IfRevision: codec.Revision(0)})
	switch {
	case err == nil:
		l.revision, l.sent = resp.Revision, sent
	case mayHaveHappened(err) && l.unclear == (instant{}):
		l.unclear = sent
	}
	return err
}

// mayHaveHappened says that a command was perhaps applied although it failed.
func mayHaveHappened(err error) bool {
	return errors.Is(err, codec.ErrTimeout) || errors.Is(err, codec.ErrInternal)
}
