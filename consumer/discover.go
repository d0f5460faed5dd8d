package consumer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// DiscoveredTag marks the instances that a store registered by itself. It is
// what tells them from those of other owners, which are left alone.
const DiscoveredTag = "nats-micro"

const (
	discoverEvery   = 5 * time.Second
	discoverTTL     = 15 * time.Second // three rounds
	discoverPending = 4096             // answers that wait; what is beyond comes with the next round
	skippedMost     = 1024             // names that are remembered as said in the log
)

// discovery registers the NATS services of the account: every few seconds it
// asks $SRV.INFO, registers who answers and is new, and renews who is known.
// Who does not answer any more expires, with an event, as any instance does.
//
// Each round is asked with an inbox of its own, and an answer counts until the
// next one begins. So nothing waits for a time to pass, and whoever answers too
// late is not taken for present.
type discovery struct {
	c       *consumer
	inbox   string
	round   int
	answers chan *nats.Msg
	skipped map[string]bool // that were logged
}

func newDiscovery(c *consumer) *discovery {
	return &discovery{
		c: c, inbox: c.conn.NewInbox() + ".", answers: make(chan *nats.Msg, discoverPending), skipped: make(map[string]bool),
	}
}

// run asks and registers until ctx ends.
func (d *discovery) run(ctx context.Context) error {
	sub, err := d.c.conn.ChanSubscribe(d.inbox+"*", d.answers)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails where the connection is closed
	tick := d.c.o.DiscoverTick
	if tick == nil {
		ticker := time.NewTicker(discoverEvery)
		defer ticker.Stop()
		tick = ticker.C
	}
	for d.ask(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick:
			d.ask()
		case m := <-d.answers:
			if m.Subject == d.subject() && len(m.Data) > 0 { // nothing comes where nobody answers
				d.take(ctx, m.Data)
			}
		}
	}
}

// subject is where the answers of this round come.
func (d *discovery) subject() string { return d.inbox + strconv.Itoa(d.round) }

func (d *discovery) ask() {
	d.round++
	if !d.c.conn.IsConnected() {
		return
	}
	if err := d.c.conn.PublishRequest(srv+"INFO", d.subject(), nil); err != nil {
		d.c.log.Debug("NATS services were not asked for", "error", err)
	}
}

// take registers the service that an answer tells of, or renews it.
func (d *discovery) take(ctx context.Context, payload []byte) {
	info := microInfo{}
	if err := json.Unmarshal(payload, &info); err != nil || info.Type != "io.nats.micro.v1.info_response" {
		d.skip("", errors.New("this is no answer of a NATS service"))
		return
	}
	if info.Name == ServiceName && info.Metadata["store_id"] == d.c.o.StoreID {
		return
	}
	cmd, err := d.command(&info)
	if err == nil {
		_, err = d.c.store.Apply(ctx, cmd)
	}
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if _, isNew := cmd.(*codec.Register); isNew {
			d.c.stats.Discovered.Add(1)
		}
	case errors.Is(err, codec.ErrConflict), errors.Is(err, codec.ErrNotFound), codec.AsError(err).Code.Temporary():
		d.c.log.Debug("a NATS service is looked at again in the next round", "name", info.Name, "id", info.ID, "error", err)
	default:
		d.skip(info.Name+"/"+info.ID, err)
	}
}

var errForeign = errors.New("somebody else registered this instance: its tag " + DiscoveredTag + " is missing")

// command is what brings the registry up to date with a service. It holds only
// if nobody changed the instance meanwhile.
func (d *discovery) command(info *microInfo) (codec.Command, error) {
	want := register(info)
	if err := want.Validate(); err != nil {
		return nil, err
	}
	is, err := d.registered(info)
	if err != nil {
		return nil, err
	}
	if is == nil {
		want.IfRevision = codec.Revision(0)
		return want, nil
	}
	if !slices.Contains(is.Tags, DiscoveredTag) {
		return nil, errForeign
	}
	if is.TTLMs == want.TTLMs && len(is.Tags) == 1 && maps.Equal(is.Meta, want.Meta) {
		return &codec.Heartbeat{Name: want.Name, ID: want.ID, IfRevision: &is.Revision}, nil
	}
	want.Status, want.Note, want.IfRevision = is.Status, is.Note, &is.Revision
	return want, nil
}

// registered returns the instance as it is, whatever its status, or nil.
func (d *discovery) registered(info *microInfo) (*codec.Instance, error) {
	r := &codec.GetService{Name: info.Name, ID: info.ID, Statuses: []string{codec.Passing, codec.Warning, codec.Critical}}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	found, err := d.c.store.ReadService(r, codec.Fit{})
	if err != nil || len(found.Instances) == 0 {
		return nil, err
	}
	return &found.Instances[0], nil
}

// register describes a service as an instance: its version, its metadata, and
// the subjects of its endpoints, as far as the limits of meta allow. The same
// service always gives the same.
func register(info *microInfo) *codec.Register {
	meta := make(map[string]string)
	put := func(key, value string) {
		trial := &codec.Register{Name: "n", ID: "i", Meta: map[string]string{key: value}}
		if _, taken := meta[key]; !taken && value != "" && len(meta) < codec.MaxMeta && trial.Validate() == nil {
			meta[key] = value
		}
	}
	put("version", info.Version)
	put("description", info.Description)
	slices.SortFunc(info.Endpoints, func(a, b microEndpoint) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Subject, b.Subject))
	})
	for _, e := range info.Endpoints {
		put("endpoint."+e.Name, e.Subject)
	}
	for _, key := range slices.Sorted(maps.Keys(info.Metadata)) {
		put(key, info.Metadata[key])
	}
	return &codec.Register{
		Name: info.Name, ID: info.ID, Tags: []string{DiscoveredTag}, Meta: meta, TTLMs: codec.Millis(discoverTTL),
	}
}

// skip counts what cannot be registered, and says each once.
func (d *discovery) skip(who string, err error) {
	d.c.stats.Skipped.Add(1)
	who = who[:min(len(who), 2*codec.MaxName+1)]
	if d.skipped[who] || len(d.skipped) >= skippedMost {
		return
	}
	d.skipped[who] = true
	d.c.log.Warn("a NATS service is not registered", "service", who, "error", err)
}
