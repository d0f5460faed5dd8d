package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) benchCommand() *cobra.Command {
	b := &bench{a: a}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a store that runs, beside an echo",
		Long: `Measure the store as it is installed, with its disk, its broker and the way
there: kv.set, kv.get, batch.apply of up to 100 sets, and from a set to its
event. Beside it an echo: a program of no more than a reply, in this process, on
a connection of its own. It is the most that any store could reach over these
NATS servers, so that the ratio says more than the rate does. (Of a batch: how
many sets are done for each echo.) A user who may not publish on its own inbox
gets no echo.

IT WRITES: --keys keys below --prefix, where nothing may lie before, and deletes
them at the end, also after Ctrl-C. (kill -9 leaves them: sett kv clear PREFIX.)
Every write is a change on the feed too: with a durable feed it takes place in
its stream, and where that is full pushes out older changes. Others who use the
store meanwhile wait longer.

All is asked with msgpack on the bare subjects; each client waits for its answer
before it asks again. The rows take turns, three rounds each. What the store
refuses for a moment (overloaded, unavailable) is counted, and asked again.`,
		Example: `  sett bench
  sett bench --clients 256 --seconds 10
  sett bench --clients 1 -o json`,
		Annotations: map[string]string{formatsKey: asTable + " " + asJSON},
		Args:        noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := b.validate(); err != nil {
				return usagef(cmd, "%v", err)
			}
			return b.run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&b.clients, "clients", 64, "`N` requests wait for their answers at a time")
	fs.IntVar(&b.connections, "connections", 8, "over `N` connections")
	fs.Float64Var(&b.seconds, "seconds", 3, "measure each row for `N` seconds")
	fs.IntVar(&b.valueBytes, "value-bytes", 128, "write values of `N` bytes")
	fs.IntVar(&b.keys, "keys", 10_000, "write to so many `KEYS`")
	fs.StringVar(&b.prefix, "prefix", "sett-bench/", "below this `PREFIX`, which ends in /")
	return cmd
}

// bench is one run of `sett bench`.
type bench struct {
	a                    *app
	clients, connections int
	seconds              float64
	valueBytes, keys     int
	prefix               string

	s      *session   // for what is not measured
	load   []*session // for what is
	client *subjects.Client
	bar    *progress
}

// The largest that makes sense, and that this process has memory for.
const (
	benchMostClients     = 10_000
	benchMostConnections = 1_000
	benchMostKeys        = 10_000_000
)

func (b *bench) validate() error {
	for _, c := range []struct {
		flag        string
		n, from, to int
	}{
		{"clients", b.clients, 1, benchMostClients},
		{"connections", b.connections, 1, benchMostConnections},
		{"keys", b.keys, 1, benchMostKeys},
		{"value-bytes", b.valueBytes, 0, codec.MaxValue},
	} {
		if c.n < c.from || c.n > c.to {
			return fmt.Errorf("--%s is %d, but must be %d to %d", c.flag, c.n, c.from, c.to)
		}
	}
	if !(b.seconds >= 0.1 && b.seconds <= 3600) {
		return fmt.Errorf("--seconds is %v, but must be 0.1 to 3600", b.seconds)
	}
	if !strings.HasSuffix(b.prefix, "/") {
		return fmt.Errorf("--prefix is %q, but must end in /", b.prefix)
	}
	if err := codec.ValidateKey(b.eventKey(b.keys)); err != nil {
		return fmt.Errorf("--prefix: %w", err)
	}
	return nil
}

func (b *bench) key(n int) string { return fmt.Sprintf("%s%08d", b.prefix, n) }

func (b *bench) eventKey(n int) string { return fmt.Sprintf("%s%s%08d", b.prefix, eventFolder, n) }

func (b *bench) run(ctx context.Context) (err error) {
	if err := b.open(); err != nil {
		return err
	}
	defer b.close()
	status, err := b.client.Status(ctx)
	if err != nil {
		return b.s.failed(subjects.StoreStatus.Subject, err)
	}
	if err := b.checkEmpty(ctx); err != nil {
		return err
	}
	b.a.note("writing keys below %s to store %s on %s for about %s; they are deleted at the end",
		b.prefix, status.StoreID, b.s.where(), span(b.takes()))
	rows, err := b.measure(ctx)
	if cleared := b.clean(); err == nil {
		err = cleared
	}
	if err != nil {
		return err
	}
	return b.show(status, rows)
}

// open connects, for each connection of the load anew.
func (b *bench) open() (err error) {
	if b.s, err = b.a.open(); err != nil {
		return err
	}
	b.client, err = subjects.NewClient(b.s.nc, subjects.Options{Prefix: b.s.prefix, Timeout: b.s.timeout})
	for range min(b.connections, b.clients) {
		if err != nil {
			break
		}
		var s *session
		if s, err = b.a.open(); err == nil {
			b.load = append(b.load, s)
		}
	}
	if err != nil {
		b.close()
	}
	return err
}

func (b *bench) close() {
	for _, s := range append(b.load, b.s) {
		s.close()
	}
}

// checkEmpty keeps somebody's keys from being deleted at the end.
func (b *bench) checkEmpty(ctx context.Context) error {
	list, err := ask(ctx, b.s, subjects.KVList, &codec.List{Prefix: b.prefix, Limit: 1})
	if err != nil {
		return err
	}
	if len(list.Entries) > 0 {
		return &exitError{
			status: exitUsage, text: fmt.Sprintf("there are keys below %s already, and they would be deleted at the end", b.prefix),
			hint: fmt.Sprintf("--prefix names another place; `sett kv clear %s` removes what an earlier run has left", b.prefix),
		}
	}
	return nil
}

// cleanTimeout bounds the end, however the run came to it.
const cleanTimeout = 5 * time.Minute

// clean deletes what was written. It does not end with the run's context, so
// that Ctrl-C leaves nothing behind; a second one ends it at once.
func (b *bench) clean() error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanTimeout)
	defer cancel()
	for {
		_, err := b.client.Clear(ctx, b.prefix)
		if err == nil {
			return nil
		}
		refused, ok := errors.AsType[*codec.Error](err)
		if !ok || !refused.Temporary || pause(ctx, busyPause) != nil {
			b.a.complain(fmt.Errorf("the keys below %s are not deleted: %w", b.prefix, err), fmt.Sprintf("`sett kv clear %s` does it", b.prefix))
			return b.s.failed(subjects.KVClear.Subject, err)
		}
	}
}
