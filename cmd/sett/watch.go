package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) watchCommand() *cobra.Command {
	w := &watch{a: a, mark: true}
	log := &logFlags{}
	cmd := &cobra.Command{
		Use:   "watch [PREFIX]",
		Short: "Print changes of keys and services as they happen",
		Long: `Print changes of keys and services as they happen, a line each: all of them, or
those whose key or name begins with PREFIX. It begins now, and what happens
while the connection is down is missed (it says so). With -o json each event as
one line of JSON, with -o raw as it came.

--list begins with what is there, as "present", up to a line that says so. With
-o json that looks like events with time_ms 0, and the line has "op":"loaded".

--from and --durable follow the durable feed instead: every change, also of
before, and none is missed or told twice, whatever breaks meanwhile. --from
goes on behind a revision; with --epoch it ends with "compacted" where that
epoch is over. --durable goes on behind what an earlier run of that NAME has
printed: a JetStream consumer remembers it. It ends with "compacted" where the
feed no longer has what comes next.`,
		Example: `  sett watch
  sett watch config/ --list
  sett watch --services
  sett watch --from 1041
  sett watch config/ --durable audit -o json >> audit.log
  sett watch config/ -o json --count 1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd, "wants one PREFIX at most")
			}
			w.prefix = strings.Join(args, "")
			if !log.given(cmd) {
				return w.run(cmd.Context())
			}
			if err := log.check(cmd, w); err != nil {
				return err
			}
			return w.runLog(cmd.Context(), log)
		},
	}
	cmd.ValidArgsFunction = a.completeArgs("prefix")
	cmd.Flags().BoolVar(&w.keys, "keys", false, "only keys")
	cmd.Flags().BoolVar(&w.services, "services", false, "only services")
	cmd.Flags().BoolVar(&w.list, "list", false, "begin with what is there")
	cmd.Flags().IntVar(&w.count, "count", 0, "end after `N` changes")
	log.add(cmd.Flags())
	exclude(cmd, "keys", "services")
	return cmd
}

// watch follows the live feed.
type watch struct {
	a              *app
	prefix         string
	name           string // only the service of this name
	keys, services bool
	list           bool // begin with what is there
	mark           bool // and say where that ends
	count          int

	seen  int
	epoch uint64
	last  uint64 // revision; 0 before the first
	shown listed
	known map[string]*codec.Instance // as last told, by name and id
}

func (w *watch) run(ctx context.Context) error {
	trouble := make(chan error, 16)
	tell := func(err error) {
		select {
		case trouble <- err:
		default: // there is enough to tell
		}
	}
	s, err := w.a.open(
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { tell(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				tell(errDisconnected)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { tell(errReconnected) }),
	)
	if err != nil {
		return err
	}
	defer s.close()
	// One channel keeps the order between the subscriptions.
	events := make(chan *nats.Msg, 65_536)
	for _, subject := range w.subjects(s.prefix) {
		if _, err := s.nc.ChanSubscribe(subject, events); err != nil {
			return err
		}
	}
	if err := s.nc.FlushTimeout(s.timeout); err != nil {
		return connectFailure(s.where(), err)
	}
	if err := s.nc.LastError(); errors.Is(err, nats.ErrPermissionViolation) {
		return w.refused(err)
	}
	w.a.note("watching %s on %s (Ctrl-C ends)", w.what(), s.where())
	w.known = make(map[string]*codec.Instance)
	if w.list {
		if err := w.present(ctx, s); err != nil {
			return err
		}
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-trouble:
			if errors.Is(err, nats.ErrPermissionViolation) {
				return w.refused(err)
			}
			w.a.note("sett: %v", err)
		case m := <-events:
			if done, err := w.event(m); done || err != nil {
				return err
			}
		}
	}
}

var (
	errDisconnected = errors.New("the connection is lost; trying to connect again")
	errReconnected  = errors.New("connected again; changes may have been missed")
)

// refused is what it means that a subscription is denied.
func (w *watch) refused(err error) error {
	return &failure{subject: "watch", err: codec.Errorf(codec.Denied, "%v", err)}
}

func (w *watch) what() string {
	what := "keys and services"
	switch {
	case !w.watchesServices():
		what = "keys"
	case w.services:
		what = "services"
	}
	if w.name != "" {
		what = fmt.Sprintf("the service %q", w.name)
	}
	if w.prefix != "" {
		what += fmt.Sprintf(" that begin with %q", w.prefix)
	}
	return what
}

// watchesServices is false for a prefix that no name of a service has.
func (w *watch) watchesServices() bool {
	return !w.keys && (w.services || !strings.Contains(w.prefix, "/"))
}

// subjects are as narrow as whole tokens allow, for users with few rights.
func (w *watch) subjects(p subjects.Prefix) []string {
	list := []string{subjects.StoreChanged.Under(p, "")}
	if !w.services {
		list = append(list, subjects.KVChanged.Under(p, folder(w.prefix)))
	}
	switch {
	case w.name != "":
		list = append(list, subjects.SvcChanged.Under(p, w.name+"/"))
	case w.watchesServices():
		list = append(list, subjects.SvcChanged.Under(p, ""))
	}
	return list
}

// event prints one event. done says that enough were printed.
func (w *watch) event(m *nats.Msg) (done bool, err error) {
	change, err := subjects.KVChanged.Decode(m.Data) // all three have one body
	if err != nil {
		w.a.note("sett: an event on %s cannot be read: %v", m.Subject, err)
		return false, nil
	}
	if !w.wants(change) {
		return false, nil
	}
	w.noteEpoch(change)
	if w.shown.has(change) || w.holds(change) {
		return false, nil
	}
	w.seen++
	return w.seen == w.count, w.print(change, m.Data)
}

// wants reports whether a change is one to be told.
func (w *watch) wants(c *codec.Change) bool {
	return c.Op == codec.OpChanged || strings.HasPrefix(c.Key+c.Name, w.prefix) && (w.name == "" || c.Name == w.name)
}

// print tells a change; raw is how it came, if it did.
func (w *watch) print(change *codec.Change, raw []byte) error {
	before := w.knew(change)
	switch {
	case w.a.format == asJSON, w.a.format == asRaw && raw == nil:
		return w.a.printJSON(change)
	case w.a.format == asRaw:
		return w.a.println(string(raw))
	}
	return w.a.println(describe(change, before))
}

// noteEpoch says when a new epoch began, and when changes are missing: without
// a filter the revisions have no hole.
func (w *watch) noteEpoch(c *codec.Change) {
	switch {
	case c.Op == codec.OpChanged, w.epoch != 0 && c.Epoch != w.epoch:
		w.a.note("sett: the store began epoch %d; what you hold from before may be wrong: load again", c.Epoch)
	case w.last != 0 && c.Revision > w.last+1 && w.prefix == "" && !w.keys && !w.services:
		w.a.note("sett: %s missed", one("change", int64(c.Revision-w.last-1)))
	}
	w.epoch, w.last = c.Epoch, c.Revision
}

// describe is a change on one line; before is what an instance was, or nil.
func describe(c *codec.Change, before *codec.Instance) string {
	line := time.UnixMilli(c.TimeMs).Format("15:04:05.000") + " "
	if c.TimeMs == 0 {
		line = "             "
	}
	told := []string{revision(c.Revision)}
	lives := func(ttlMs int64) {
		if ttlMs != 0 {
			told = append(told, "for "+ttl(ttlMs))
		}
	}
	switch c.Op {
	case codec.OpSet:
		how := "set"
		if c.TimeMs == 0 {
			how = "present"
		}
		line += fmt.Sprintf("%s %s = %s", how, c.Key, printable(c.Value))
		lives(c.TTLMs)
	case codec.OpChanged:
		line += "store " + c.Reason
	case codec.OpRegister:
		how := "register"
		if c.TimeMs == 0 {
			how = "present"
		}
		line += fmt.Sprintf("%s %s %s", how, c.Name, c.ID) + where(c.Instance)
		if c.Instance != nil {
			lives(c.Instance.TTLMs)
		}
		told = append(told, differences(before, c.Instance)...)
	default:
		line += c.Op + " " + strings.TrimSpace(c.Key+c.Name+" "+c.ID)
	}
	return line + " " + details(told...)
}

// where is what a watcher of services wants to know of an instance.
func where(i *codec.Instance) string {
	if i == nil {
		return ""
	}
	text := ""
	if i.Address != "" && i.ID != net.JoinHostPort(i.Address, number(i.Port)) {
		text = " at " + endpoint(*i)
	}
	if len(i.Tags) > 0 {
		text += " [" + printable([]byte(strings.Join(i.Tags, ","))) + "]"
	}
	if i.Status != codec.Passing || i.Note != "" {
		text += " " + strings.TrimSpace(i.Status+" "+printable([]byte(i.Note)))
	}
	return text
}
