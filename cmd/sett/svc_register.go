package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// keptTTL is the TTL of what is kept alive, unless --ttl says otherwise.
const keptTTL = 10 * time.Second

func (a *app) svcRegister() *cobra.Command {
	r := &registering{a: a}
	r.verb = verb[codec.Register, codec.RegisterReply]{
		endpoint: subjects.SvcRegister,
		command: cobra.Command{
			Use:     "register NAME [-- COMMAND ARGS]",
			Aliases: []string{"reg", "add"},
			Short:   "Register an instance of a service, or renew it",
			Long: `Register an instance of a service, or renew it. With --ttl it goes when its
heartbeats stop. --id is needed unless both --address and --port are given.

With --keep-alive it is renewed until SIGINT or SIGTERM, and then deregistered,
with status 0. With a COMMAND it is renewed while that runs, and deregistered
when that ends or is asked to: it gets the signals. The status is the command's;
SETT_SVC_NAME and SETT_SVC_ID tell it what it is, so that it can say how it is
(below). Both go on while the server is away, and register again what has
expired meanwhile. The TTL is 10s unless --ttl says otherwise. When this process
is killed (SIGKILL) the instance goes after its TTL; Linux kills the command
too, but not what that has started itself.`,
			Example: `  sett svc register web --address 10.0.0.7 --port 8080 --ttl 30s
  sett svc register web --id blue --tag v2 --meta zone=eu-1
  sett svc register web --address 10.0.0.7 --port 8080 --keep-alive
  sett svc register web --address 10.0.0.7 --port 8080 -- ./web --port 8080
  sett svc heartbeat "$SETT_SVC_NAME" "$SETT_SVC_ID" --status warning`,
		},
		args: []string{"name"},
		flags: func(cmd *cobra.Command, req *codec.Register) {
			r.req = req
			addCreate(cmd, &req.IfRevision)
			cmd.Flags().BoolVar(&r.keep, "keep-alive", false, "renew it until stopped, then deregister it")
		},
		show: func(a *app, req *codec.Register, resp *codec.RegisterReply) error {
			how := "renewed"
			if resp.Created {
				how = "new"
			}
			return a.say("registered %s %s %s", req.Name, resp.ID, details(revision(resp.Revision), how, expiring(resp.ExpiresAtMs)))
		},
		raw: func(_ *codec.Register, resp *codec.RegisterReply) string { return resp.ID },
	}
	cmd := r.verb.build(a)
	once := cmd.RunE
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if at := cmd.ArgsLenAtDash(); at >= 0 {
			if err := hasCommand(cmd, args[at:]); err != nil {
				return err
			}
			r.argv, args = args[at:], args[:at]
		}
		return r.verb.checkArgs(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !r.keep && r.argv == nil {
			return once(cmd, args)
		}
		if err := r.verb.setArgs(a, cmd, args[:len(args)-len(r.argv)]); err != nil {
			return err
		}
		return r.run(cmd.Context())
	}
	return cmd
}

// registering is one run of `sett svc register` that keeps what it registers.
type registering struct {
	a    *app
	s    *session
	verb verb[codec.Register, codec.RegisterReply]
	req  *codec.Register
	keep bool
	argv []string // nil: no command

	revision uint64 // of what we have registered
}

func (r *registering) run(ctx context.Context) (err error) {
	if r.req.TTLMs == 0 {
		r.req.TTLMs = codec.Millis(keptTTL)
	}
	ttl := time.Duration(r.req.TTLMs) * time.Millisecond
	reconnected := make(chan struct{}, 1)
	r.s, err = r.a.open(append(lasting(ttl), nats.ReconnectHandler(func(*nats.Conn) {
		select {
		case reconnected <- struct{}{}:
		default:
		}
	}))...)
	if err != nil {
		return err
	}
	defer r.s.close()
	resp, err := r.register(ctx)
	if err != nil {
		return err
	}
	r.req.ID, r.req.IfRevision = resp.ID, nil // from now on it is ours
	k := &keepAlive{
		what: r.req.Name + " " + r.req.ID, ttl: ttl, reconnected: reconnected, note: r.a.note, beat: r.beat, deregister: r.deregister,
		register: func(ctx context.Context) error {
			_, err := r.register(ctx)
			return err
		},
	}
	if r.argv == nil {
		return r.untilStopped(ctx, k, resp)
	}
	return r.withCommand(ctx, k, resp)
}

// untilStopped ends well when it is told to: that is its only end.
func (r *registering) untilStopped(ctx context.Context, k *keepAlive, resp *codec.RegisterReply) error {
	signals, stop := catchSignals(ctx, ending)
	defer stop()
	if ctx.Err() == nil {
		if err := r.verb.print(r.a, r.req, resp); err != nil {
			return errors.Join(err, r.deregister(context.Background()))
		}
		return k.run(&untilSignal{make(chan struct{})}, signals)
	}
	return r.deregister(context.Background())
}

// withCommand leaves the standard output to the command.
func (r *registering) withCommand(ctx context.Context, k *keepAlive, resp *codec.RegisterReply) error {
	signals, stop := catchSignals(ctx, relayed)
	defer stop()
	err := ctx.Err()
	var c *child
	if err == nil {
		c, err = r.a.startChild(r.argv, []string{"SETT_SVC_NAME=" + r.req.Name, "SETT_SVC_ID=" + r.req.ID})
	}
	if err != nil {
		if left := r.deregister(context.Background()); left != nil {
			r.a.note("sett: %v", left)
		}
		return err
	}
	r.a.note("sett: registered %s %s %s", r.req.Name, resp.ID, details(revision(resp.Revision)))
	if err := k.run(c, signals); err != nil {
		r.a.note("sett: %s %s stays registered until its TTL is over: %v", r.req.Name, r.req.ID, err)
	}
	return c.status()
}

func (r *registering) register(ctx context.Context) (*codec.RegisterReply, error) {
	resp, err := ask(ctx, r.s, subjects.SvcRegister, r.req)
	if err == nil {
		r.revision = resp.Revision
	}
	return resp, err
}

// beat leaves status and note as they are: others may have set them.
func (r *registering) beat(ctx context.Context) error {
	_, err := ask(ctx, r.s, subjects.SvcHeartbeat, &codec.Heartbeat{Name: r.req.Name, ID: r.req.ID})
	return err
}

// deregister removes what we have registered, and nothing that another has
// registered under this id meanwhile.
func (r *registering) deregister(ctx context.Context) error {
	gone := &codec.Deregister{Name: r.req.Name, ID: r.req.ID, IfRevision: codec.Revision(r.revision)}
	_, err := ask(ctx, r.s, subjects.SvcDeregister, gone)
	if !errors.Is(err, codec.ErrConflict) {
		return err
	}
	// A heartbeat with another status gives it another revision.
	found, failed := ask(ctx, r.s, subjects.SvcGet, &codec.GetService{Name: r.req.Name, ID: r.req.ID, Statuses: allStatuses})
	switch {
	case failed != nil:
		return failed
	case len(found.Instances) == 0:
		return nil
	case !r.isOurs(&found.Instances[0]):
		r.a.note("sett: %s %s was registered by another, and stays", r.req.Name, r.req.ID)
		return nil
	}
	gone.IfRevision = codec.Revision(found.Instances[0].Revision)
	_, err = ask(ctx, r.s, subjects.SvcDeregister, gone)
	return err
}

// isOurs compares what heartbeats do not change.
func (r *registering) isOurs(i *codec.Instance) bool {
	return i.Address == r.req.Address && i.Port == r.req.Port && i.TTLMs == r.req.TTLMs &&
		slices.Equal(i.Tags, r.req.Tags) && maps.Equal(i.Meta, r.req.Meta)
}

var allStatuses = []string{codec.Passing, codec.Warning, codec.Critical}
