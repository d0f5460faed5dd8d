package main

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// logFlags are those that make a watch follow the durable feed.
type logFlags struct {
	from, epoch uint64
	behind      bool // from was given
	durable     string
	consumer    string
}

func (l *logFlags) add(fs *pflag.FlagSet) {
	fs.Uint64Var(&l.from, "from", 0, "every change behind this `REVISION`, from the durable feed (0: from the beginning)")
	fs.Uint64Var(&l.epoch, "epoch", 0, "the `EPOCH` of that revision (default: whichever it is)")
	fs.StringVar(&l.durable, "durable", "", "go on where the last run of this `NAME` ended (the first one: now, or --from)")
	fs.StringVar(&l.consumer, "consumer", "", "with --from the `NAME` of the JetStream consumer, for users who may use only one")
}

func (*logFlags) given(cmd *cobra.Command) bool {
	fs := cmd.Flags()
	return fs.Changed("from") || fs.Changed("durable") || fs.Changed("epoch") || fs.Changed("consumer")
}

func (l *logFlags) check(cmd *cobra.Command, w *watch) error {
	l.behind = cmd.Flags().Changed("from")
	switch {
	case w.list:
		return usagef(cmd, "--list goes with the live feed, not with --from and --durable: list first, then --from the revision of the last line")
	case l.epoch != 0 && !l.behind:
		return usagef(cmd, "--epoch goes with --from")
	case l.consumer != "" && (!l.behind || l.durable != ""):
		return usagef(cmd, "--consumer goes with --from; --durable names its consumer itself")
	case cmd.Flags().Changed("durable") && l.durable == "":
		return usagef(cmd, "--durable wants a name")
	}
	return nil
}

// runLog follows the durable feed.
func (w *watch) runLog(ctx context.Context, l *logFlags) error {
	s, err := w.a.open(
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				w.a.note("sett: %v", errDisconnected)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { w.a.note("sett: connected again; nothing is missed") }),
	)
	if err != nil {
		return err
	}
	defer s.close()
	client, err := subjects.NewClient(s.nc, subjects.Options{Prefix: s.prefix, Timeout: s.timeout})
	if err != nil {
		return err
	}
	w.known = make(map[string]*codec.Instance)
	o := subjects.ChangesOptions{Filter: w.filter(s.prefix), Consumer: l.durable + l.consumer}
	if l.behind {
		o.From = &codec.Position{StoreRevision: l.from, Epoch: l.epoch}
	}
	w.a.note("watching the durable feed for %s on %s (Ctrl-C ends)", w.what(), s.where())
	if l.durable != "" {
		err = client.Consume(ctx, o, w.change)
	} else {
		err = w.changes(client.Changes(ctx, o))
	}
	if err == subjects.ErrEnough {
		return nil
	}
	return s.failed("watch", err)
}

func (w *watch) changes(all func(func(codec.Change, error) bool)) error {
	for ch, err := range all {
		if err == nil {
			err = w.change(&ch)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// change prints a change of the log, or ends the watch.
func (w *watch) change(ch *codec.Change) error {
	if !w.wants(ch) {
		return nil
	}
	w.noteEpoch(ch)
	if err := w.print(ch, nil); err != nil {
		return err
	}
	if w.seen++; w.seen == w.count {
		return subjects.ErrEnough
	}
	return nil
}

// filter is the one subject that a consumer reads: as narrow as it can be.
func (w *watch) filter(p subjects.Prefix) string {
	switch {
	case w.services:
		return subjects.SvcChanged.Under(p, "")
	case !w.watchesServices():
		return subjects.KVChanged.Under(p, folder(w.prefix))
	}
	return ""
}

// compactedHint is what to do where history was trimmed.
func compactedHint(e *codec.Error) string {
	return "`sett watch --list` tells what is there now; --from " + number(e.StoreRevision) + " goes on with what the feed still has"
}
