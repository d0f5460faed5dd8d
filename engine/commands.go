package engine

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/settkv/sett/codec"
)

// run runs a command whose deadlines were met.
func (m *machine) run(cmd codec.Command) (codec.Reply, error) {
	switch c := cmd.(type) {
	case *codec.Batch:
		return m.batch(c)
	case *codec.Clear:
		return m.clear(c)
	case *removeService:
		return m.removeService(c)
	case *newEpoch:
		return m.newEpoch(c), nil
	case *expireDue:
		return m.expireDue(c), nil
	case *renewals:
		return m.renewals(c), nil
	}
	if err := m.holds(m.paths[0], ifRevision(cmd)); err != nil {
		return nil, err
	}
	return m.op(m.paths[0], cmd)
}

// op runs a command on the record at a path, whose condition holds.
func (m *machine) op(path string, cmd codec.Command) (codec.Reply, error) {
	switch c := cmd.(type) {
	case *codec.Set:
		return m.set(path, c)
	case *codec.Delete:
		return m.delete(path, c)
	case *codec.Touch:
		return m.touch(path, c)
	case *codec.Increment:
		return m.increment(path, c)
	case *codec.Register:
		return m.register(path, c, nil), nil
	case *setService:
		return m.register(path, &c.Register, c.data), nil
	case *codec.Heartbeat:
		return m.heartbeat(path, c)
	case *codec.Deregister:
		return m.deregister(path, c), nil
	}
	return nil, codec.Errorf(codec.Invalid, "%s: unknown command", cmd.Op())
}

// ifRevision is the condition that a command carries itself.
func ifRevision(cmd codec.Command) *uint64 {
	switch c := cmd.(type) {
	case *codec.Set:
		return c.IfRevision
	case *codec.Delete:
		return c.IfRevision
	case *codec.Touch:
		return c.IfRevision
	case *codec.Increment:
		return c.IfRevision
	case *codec.Register:
		return c.IfRevision
	case *codec.Heartbeat:
		return c.IfRevision
	case *codec.Deregister:
		return c.IfRevision
	}
	return nil
}

// holds checks a condition: the record's revision is exactly want, where 0 is
// that of none.
func (m *machine) holds(path string, want *uint64) *codec.Error {
	if want == nil {
		return nil
	}
	var have uint64
	if rec, ok := m.get(path); ok {
		have = rec.revision
	}
	if have == *want {
		return nil
	}
	e := codec.Errorf(codec.Conflict, "%s has revision %d, not %d", quoted(path), have, *want)
	e.Revision = &have
	nameIn(e, path)
	return e
}

// nameIn says in a refusal which record it is about.
func nameIn(e *codec.Error, path string) {
	if isKey(path) {
		e.Key = path[len(kvPrefix):]
	} else {
		e.Name, e.ID = splitInstance(path)
	}
}

func quoted(path string) string {
	if isKey(path) {
		return strconv.Quote(path[len(kvPrefix):])
	}
	name, id := splitInstance(path)
	return "instance " + strconv.Quote(id) + " of " + strconv.Quote(name)
}

func notFound(path string) *codec.Error {
	e := codec.Errorf(codec.NotFound, "there is no %s", quoted(path))
	if isKey(path) {
		e.Message = "there is no key " + quoted(path)
	}
	nameIn(e, path)
	return e
}

// batch checks every condition against the state before it, then applies its
// ops one after the other.
func (m *machine) batch(c *codec.Batch) (codec.Reply, error) {
	for i := range c.If {
		if e := m.holds(m.paths[len(c.Ops)+i], c.If[i].Revision); e != nil {
			return nil, e.Within("if", i)
		}
	}
	for i, op := range c.Ops {
		if e := m.holds(m.paths[i], ifRevision(op)); e != nil {
			return nil, e.Within("ops", i)
		}
	}
	reply := &codec.BatchReply{Results: make([]codec.Reply, len(c.Ops))}
	before := m.counters.revision
	for i, op := range c.Ops {
		result, err := m.op(m.paths[i], op)
		if err != nil {
			if refused, ok := errors.AsType[*codec.Error](err); ok {
				return nil, refused.Within("ops", i)
			}
			return nil, err
		}
		reply.Results[i] = result
		if m.counters.revision == before {
			reply.Revision = result.Changed()
		}
	}
	if m.counters.revision > before {
		reply.Revision = m.counters.revision
	}
	return reply, nil
}

func (m *machine) set(path string, c *codec.Set) (codec.Reply, error) {
	old, existed := m.get(path)
	reply := &codec.SetReply{Created: !existed}
	rec := &record{life: newLife(c.TTLMs, deadline(m.nowMs, c.TTLMs))}
	if existed {
		rec.created = old.created
		if c.KeepTTL {
			rec.life = old.life
		}
		if c.ReturnPrevious {
			previous, err := m.previous(path, old)
			if err != nil {
				return nil, err
			}
			reply.Previous = previous
		}
	}
	if c.Value == nil {
		c.Value = []byte{}
	}
	reply.Revision = m.put(path, rec, c.Value, codec.Change{Op: codec.OpSet, Key: c.Key, Value: c.Value})
	reply.ExpiresAtMs = rec.expires()
	return reply, nil
}

// previous is what return_previous returns.
func (m *machine) previous(path string, rec *record) (*codec.Entry, error) {
	value, err := m.value(path)
	if err != nil {
		return nil, err
	}
	e := item{path: path, rec: rec}.entry()
	e.Value = value
	return &e, nil
}

func (m *machine) delete(path string, c *codec.Delete) (codec.Reply, error) {
	old, existed := m.get(path)
	reply := &codec.DeleteReply{Deleted: existed}
	if !existed {
		return reply, nil
	}
	if c.ReturnPrevious {
		previous, err := m.previous(path, old)
		if err != nil {
			return nil, err
		}
		reply.Previous = previous
	}
	reply.Revision = m.remove(path, codec.Change{Op: codec.OpDelete, Key: c.Key})
	return reply, nil
}

// touch moves a deadline: a write that is no change, takes no revision and
// announces nothing.
func (m *machine) touch(path string, c *codec.Touch) (codec.Reply, error) {
	old, existed := m.get(path)
	if !existed {
		return nil, notFound(path)
	}
	ttl := old.ttl()
	if c.TTLMs != nil {
		ttl = *c.TTLMs
	}
	reply := &codec.TouchReply{ExpiresAtMs: deadline(m.nowMs, ttl)}
	reply.Revision = old.revision
	if ttl == 0 && old.expires() == 0 {
		return reply, nil
	}
	value, err := m.value(path)
	if err != nil {
		return nil, err
	}
	m.store(path, &record{revision: old.revision, created: old.created, life: newLife(ttl, reply.ExpiresAtMs)}, value)
	return reply, nil
}

// increment adds to a decimal number and keeps its deadline.
func (m *machine) increment(path string, c *codec.Increment) (codec.Reply, error) {
	old, existed := m.get(path)
	reply := &codec.IncrementReply{Created: !existed}
	rec := &record{life: newLife(c.TTLMs, deadline(m.nowMs, c.TTLMs))}
	if existed {
		rec.created, rec.life = old.created, old.life
		value, err := m.value(path)
		if err != nil {
			return nil, err
		}
		if reply.Value, err = strconv.ParseInt(string(value), 10, 64); err != nil {
			return nil, codec.Invalidf("key", "the value of %q is not a whole number of 64 bits", c.Key)
		}
	}
	if c.By > 0 && reply.Value > math.MaxInt64-c.By || c.By < 0 && reply.Value < math.MinInt64-c.By {
		return nil, codec.Invalidf("by", "%d and %d do not add up to a number of 64 bits", reply.Value, c.By)
	}
	reply.Value += c.By
	text := strconv.AppendInt(nil, reply.Value, 10)
	reply.Revision = m.put(path, rec, text, codec.Change{Op: codec.OpSet, Key: c.Key, Value: text})
	return reply, nil
}

// clear deletes the first keys below a prefix. What is past its deadline there
// expires instead, and does not count.
func (m *machine) clear(c *codec.Clear) (codec.Reply, error) {
	reply := &codec.ClearReply{}
	prefix := keyPath(c.Prefix)
	paths, more := m.below(prefix, int(c.Limit))
	reply.More = more
	for _, path := range paths {
		if rec, _ := m.get(path); rec.dead(m.nowMs) {
			m.expire(path)
			continue
		}
		reply.Revision = m.remove(path, codec.Change{Op: codec.OpDelete, Key: path[len(kvPrefix):]})
		reply.Deleted++
	}
	return reply, nil
}

// below returns the first paths that begin with a prefix, as many as one
// command can remove and announce.
func (m *machine) below(prefix string, limit int) (paths []string, more bool) {
	room := codec.MaxEvents
	m.index.Ascend(prefix, func(i item) bool {
		if !strings.HasPrefix(i.path, prefix) {
			return false
		}
		room -= eventRoom(i.path, i.rec)
		if more = len(paths) == limit || room < 0; more {
			return false
		}
		paths = append(paths, i.path)
		return true
	})
	return paths, more
}

// register stores an instance. Registering exactly what is registered only
// renews the deadline.
func (m *machine) register(path string, c *codec.Register, data []byte) codec.Reply {
	next := &codec.InstanceRecord{Data: data, Instance: codec.Instance{
		Name: c.Name, ID: c.ID, Address: c.Address, Port: c.Port,
		Tags: c.Tags, Meta: c.Meta, Status: c.Status, Note: c.Note,
	}}
	old, existed := m.get(path)
	reply := &codec.RegisterReply{ID: c.ID, Created: !existed, ExpiresAtMs: deadline(m.nowMs, c.TTLMs)}
	if existed && old.ttl() == c.TTLMs && sameInstance(old.life.instance, next) {
		reply.Revision = old.revision
		m.renew(path, old)
		return reply
	}
	rec := &record{life: &life{ttlMs: c.TTLMs, expiresMs: reply.ExpiresAtMs, instance: next}}
	if existed {
		rec.created = old.created
	}
	reply.Revision = m.putInstance(path, rec)
	return reply
}

// putInstance stores an instance as a change that is announced.
func (m *machine) putInstance(path string, rec *record) uint64 {
	in := rec.life.instance
	revision := m.put(path, rec, codec.Append(nil, codec.Msgpack, in),
		codec.Change{Op: codec.OpRegister, Name: in.Name, ID: in.ID})
	shown := item{path: path, rec: rec}.instance()
	m.changes[len(m.changes)-1].Instance = &shown
	return revision
}

// renew gives an instance its whole TTL again, unless the command is refused in
// the end: so it leaves the old record as it is.
func (m *machine) renew(path string, old *record) {
	if old.ttl() != 0 {
		m.writeRenewed(path, old, deadline(m.nowMs, old.ttl()))
	}
}

// renewInMemory is what a heartbeat costs: no write, and so no commit of its
// own. What a crash loses of it the grace after a restart covers.
func (m *machine) renewInMemory(path string, rec *record) {
	if rec.ttl() == 0 {
		return
	}
	if rec.life.renewedMs.Swap(deadline(m.nowMs, rec.ttl())) == 0 {
		m.beat(item{path: path, rec: rec})
	}
}

// writeRenewed writes an instance with another deadline and nothing else new.
func (m *machine) writeRenewed(path string, old *record, expiresMs int64) {
	rec := &record{revision: old.revision, created: old.created, life: &life{
		ttlMs: old.ttl(), expiresMs: expiresMs, instance: old.life.instance,
	}}
	m.store(path, rec, codec.Append(nil, codec.Msgpack, rec.life.instance))
}

// heartbeat renews an instance, and announces it only where its status or note
// changed.
func (m *machine) heartbeat(path string, c *codec.Heartbeat) (codec.Reply, error) {
	old, existed := m.get(path)
	if !existed {
		return nil, notFound(path)
	}
	next := *old.life.instance
	if c.Status != "" {
		next.Status = c.Status
	}
	if c.Note != nil {
		next.Note = *c.Note
	}
	reply := &codec.HeartbeatReply{ExpiresAtMs: deadline(m.nowMs, old.ttl())}
	reply.Revision = old.revision
	if next.Status == old.life.instance.Status && next.Note == old.life.instance.Note {
		m.renewInMemory(path, old)
		return reply, nil
	}
	reply.Revision = m.putInstance(path, &record{created: old.created, life: &life{
		ttlMs: old.ttl(), expiresMs: reply.ExpiresAtMs, instance: &next,
	}})
	return reply, nil
}

func (m *machine) deregister(path string, c *codec.Deregister) codec.Reply {
	_, existed := m.get(path)
	reply := &codec.DeregisterReply{Deregistered: existed}
	if existed {
		reply.Revision = m.remove(path, codec.Change{Op: codec.OpDeregister, Name: c.Name, ID: c.ID})
	}
	return reply
}
