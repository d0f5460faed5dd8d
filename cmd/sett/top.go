package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
)

// leastInterval keeps a wrong flag from becoming a load.
const leastInterval = 100 * time.Millisecond

func (a *app) topCommand() *cobra.Command {
	t := &top{a: a}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show what a store does, second by second",
		Long: `Show what a store does, second by second, until it is interrupted: commands,
reads, events and errors a second, what waits, how long commits take, how far
the feed is behind, and the requests by subject. What store.status itself is
asked does not count as reads.

On a terminal one view is drawn anew; elsewhere tables follow each other. With
-o json each is one line of JSON, and an interval without an answer is a line
with "error". --once shows one interval and ends.

Everything is asked for over NATS: store.status, and $SRV.STATS.sett as
` + "`nats micro stats sett`" + ` does. The user needs the right to publish on both.`,
		Example: `  sett top
  sett top --once
  sett top -o json --interval 10s > store.jsonl`,
		Annotations: map[string]string{formatsKey: asTable + " " + asJSON},
		Args:        noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.interval < leastInterval {
				return usagef(cmd, "--interval must be at least %v", leastInterval)
			}
			return t.run(cmd.Context())
		},
	}
	t.interval = time.Second
	addDuration(cmd.Flags(), "interval", "show what happened every `DURATION`", &t.interval)
	cmd.Flags().BoolVar(&t.once, "once", false, "end after one interval")
	return cmd
}

// top is one run of `sett top`.
type top struct {
	a        *app
	s        *session
	interval time.Duration
	once     bool

	last *topSample // nil: there is none to compare with
}

// topView is where a view goes: a terminal, a table or JSON.
type topView interface {
	show(v *topFigures) error
	fail(err error) error // an interval without an answer
	close()
}

func (t *top) run(ctx context.Context) (err error) {
	if t.s, err = t.a.open(lasting(3 * time.Second)...); err != nil {
		return err
	}
	defer t.s.close()
	if t.last, err = t.sample(ctx); err != nil {
		return err
	}
	view := t.view()
	defer view.close()
	ticker := time.NewTicker(t.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if err := t.step(ctx, view); err != nil || t.once {
			return err
		}
	}
}

// step shows one interval. A store that does not answer may be back at the
// next one.
func (t *top) step(ctx context.Context, view topView) error {
	now, err := t.sample(ctx)
	switch {
	case err != nil && (t.once || errors.Is(err, context.Canceled)):
		return err
	case err != nil:
		t.last = nil // what happened meanwhile belongs to no interval
		return view.fail(err)
	}
	before := t.last
	t.last = now
	return view.show(compare(before, now))
}

func (t *top) view() topView {
	switch {
	case t.a.format == asJSON:
		return &jsonTop{t.a}
	case isTerminal(t.a.stdout) && !t.once:
		return openScreen(t.a.stdout)
	}
	return &tableTop{a: t.a}
}
