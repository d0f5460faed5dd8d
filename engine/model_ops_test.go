package engine

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/settkv/sett/codec"
)

func (m *model) clear(c *codec.Clear) codec.Reply {
	reply := &codec.ClearReply{}
	n := int64(0)
	for _, path := range slices.Sorted(maps.Keys(m.records)) {
		if !strings.HasPrefix(path, "kv:"+c.Prefix) {
			continue
		}
		if n == c.Limit {
			reply.More = true
			break
		}
		n++
		if r := m.records[path]; r.dead(m.nowMs) {
			m.remove(path, codec.OpExpire)
			continue
		}
		m.remove(path, codec.OpDelete)
		reply.Deleted++
		reply.Revision = m.revision
	}
	return reply
}

func (m *model) op(cmd codec.Command) (codec.Reply, *codec.Error) {
	path := modelPath(cmd)
	old, existed := m.records[path]
	switch c := cmd.(type) {
	case *codec.Set:
		r := modelRecord{value: c.Value}
		r.ttl, r.expires = c.TTLMs, m.until(c.TTLMs)
		if c.KeepTTL {
			r.ttl, r.expires = old.ttl, old.expires
		}
		m.put(path, r, codec.OpSet)
		reply := &codec.SetReply{Created: !existed, ExpiresAtMs: r.expires}
		if existed && c.ReturnPrevious {
			reply.Previous = old.entry(c.Key)
		}
		reply.Revision = m.revision
		return reply, nil
	case *codec.Delete:
		reply := &codec.DeleteReply{Deleted: existed}
		if existed && c.ReturnPrevious {
			reply.Previous = old.entry(c.Key)
		}
		if existed {
			m.remove(path, codec.OpDelete)
			reply.Revision = m.revision
		}
		return reply, nil
	case *codec.Touch:
		if !existed {
			return nil, named(codec.NotFound, path)
		}
		r := old
		if c.TTLMs != nil {
			r.ttl = *c.TTLMs
		}
		r.expires = m.until(r.ttl)
		m.records[path] = r
		reply := &codec.TouchReply{ExpiresAtMs: r.expires}
		reply.Revision = r.revision
		return reply, nil
	case *codec.Increment:
		return m.increment(path, c)
	case *codec.Register:
		return m.register(path, c), nil
	case *codec.Heartbeat:
		return m.heartbeat(path, c)
	case *codec.Deregister:
		reply := &codec.DeregisterReply{Deregistered: existed}
		if existed {
			m.remove(path, codec.OpDeregister)
			reply.Revision = m.revision
		}
		return reply, nil
	}
	panic("unknown command")
}

func (m *model) increment(path string, c *codec.Increment) (codec.Reply, *codec.Error) {
	r, existed := m.records[path]
	n := int64(0)
	if existed {
		var err error
		if n, err = strconv.ParseInt(string(r.value), 10, 64); err != nil {
			return nil, &codec.Error{Code: codec.Invalid, Field: "key"}
		}
	} else {
		r.ttl, r.expires = c.TTLMs, m.until(c.TTLMs)
	}
	if sum := float64(n) + float64(c.By); sum > math.MaxInt64-1000 || sum < math.MinInt64+1000 {
		return nil, &codec.Error{Code: codec.Invalid, Field: "by"}
	}
	r.value = []byte(strconv.FormatInt(n+c.By, 10))
	m.put(path, r, codec.OpSet)
	reply := &codec.IncrementReply{Created: !existed, Value: n + c.By}
	reply.Revision = m.revision
	return reply, nil
}

func (m *model) register(path string, c *codec.Register) codec.Reply {
	old, existed := m.records[path]
	r := modelRecord{ttl: c.TTLMs, expires: m.until(c.TTLMs), instance: codec.Instance{
		Name: c.Name, ID: c.ID, Address: c.Address, Port: c.Port, Tags: c.Tags, Meta: c.Meta, Status: c.Status, Note: c.Note,
	}}
	reply := &codec.RegisterReply{ID: c.ID, Created: !existed, ExpiresAtMs: r.expires}
	if existed && old.ttl == r.ttl && text(&old.instance) == text(&r.instance) {
		old.expires = r.expires
		m.records[path] = old
		reply.Revision = old.revision
		return reply
	}
	m.put(path, r, codec.OpRegister)
	reply.Revision = m.revision
	return reply
}

func (m *model) heartbeat(path string, c *codec.Heartbeat) (codec.Reply, *codec.Error) {
	r, existed := m.records[path]
	if !existed {
		return nil, named(codec.NotFound, path)
	}
	before := r.instance
	if c.Status != "" {
		r.instance.Status = c.Status
	}
	if c.Note != nil {
		r.instance.Note = *c.Note
	}
	r.expires = m.until(r.ttl)
	if before.Status == r.instance.Status && before.Note == r.instance.Note {
		m.records[path] = r
	} else {
		m.put(path, r, codec.OpRegister)
	}
	reply := &codec.HeartbeatReply{ExpiresAtMs: r.expires}
	reply.Revision = m.records[path].revision
	return reply, nil
}

func (m *model) until(ttl int64) int64 {
	if ttl == 0 {
		return 0
	}
	return m.nowMs + ttl
}

func (m *model) change(path, op string, previous uint64) codec.Change {
	m.revision++
	e := named("", path)
	return codec.Change{
		Revision: m.revision, Epoch: m.epoch, Op: op, Key: e.Key, Name: e.Name, ID: e.ID,
		PreviousRevision: previous, CommitRevision: m.revision, TimeMs: m.nowMs,
	}
}

func (m *model) put(path string, r modelRecord, op string) {
	old, existed := m.records[path]
	c := m.change(path, op, old.revision)
	r.revision, r.created = m.revision, m.revision
	if existed {
		r.created = old.created
	}
	m.records[path] = r
	if op == codec.OpSet {
		c.Value, c.TTLMs, c.ExpiresAtMs = r.value, r.ttl, r.expires
	} else {
		c.Instance = r.shown()
	}
	m.events = append(m.events, c)
}

func (m *model) remove(path, op string) {
	r := m.records[path]
	c := m.change(path, op, r.revision)
	if strings.HasPrefix(path, "svc:") {
		c.Instance = r.shown()
	}
	delete(m.records, path)
	m.events = append(m.events, c)
}

func (r *modelRecord) entry(key string) *codec.Entry {
	return &codec.Entry{
		Key: key, Value: bytes.Clone(r.value), Revision: r.revision, CreatedRevision: r.created, TTLMs: r.ttl, ExpiresAtMs: r.expires,
	}
}

func (r *modelRecord) shown() *codec.Instance {
	in := r.instance
	in.Revision, in.CreatedRevision, in.TTLMs, in.ExpiresAtMs = r.revision, r.created, r.ttl, r.expires
	return &in
}

// sweep ends what is dead, in the order of deadlines, each as its own commit.
func (m *model) sweep() {
	dead := slices.DeleteFunc(slices.Sorted(maps.Keys(m.records)), func(path string) bool {
		r := m.records[path]
		return !r.dead(m.nowMs)
	})
	slices.SortStableFunc(dead, func(a, b string) int { return int(m.records[a].expires - m.records[b].expires) })
	for _, path := range dead {
		m.remove(path, codec.OpExpire)
	}
}

// reopen is a clean restart: who was alive gets a whole TTL of grace.
func (m *model) reopen() {
	for path, r := range m.records {
		if strings.HasPrefix(path, "svc:") && r.ttl != 0 && !r.dead(m.nowMs) {
			r.expires = max(r.expires, m.until(r.ttl))
			m.records[path] = r
		}
	}
}

// crash is a restart without a close: a new epoch, and grace for all instances.
func (m *model) crash() {
	for path, r := range m.records {
		if strings.HasPrefix(path, "svc:") && r.ttl != 0 {
			r.expires = max(r.expires, m.until(r.ttl))
			m.records[path] = r
		}
	}
	m.epoch = max(m.epoch+1, uint64(m.nowMs))
	m.revision++
	m.events = append(m.events, codec.Change{
		Revision: m.revision, Epoch: m.epoch, Op: codec.OpChanged, Reason: codec.ReasonGap, CommitRevision: m.revision, TimeMs: m.nowMs,
	})
}

// dump is what [harness.dump] says of the store.
func (m *model) dump() string {
	var out strings.Builder
	for _, path := range slices.Sorted(maps.Keys(m.records)) {
		r, ok := m.live(path)
		if key, isKey := strings.CutPrefix(path, "kv:"); !ok {
			continue
		} else if isKey {
			fmt.Fprintln(&out, text(r.entry(key)))
		} else {
			fmt.Fprintln(&out, text(r.shown()))
		}
	}
	return out.String()
}
