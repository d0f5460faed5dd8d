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

// model is the store as its contract says it, by the plainest means: maps, and
// copies of them.
type model struct {
	nowMs    int64
	epoch    uint64
	revision uint64
	records  map[string]modelRecord // by stored path
	ids      map[string]modelID
	events   []codec.Change
}

type modelRecord struct {
	revision, created uint64
	ttl, expires      int64
	value             []byte
	instance          codec.Instance // without the fields above
}

type modelID struct {
	atMs    int64
	payload string
	reply   codec.Reply
}

func newModel() *model {
	return &model{nowMs: startMs, epoch: startMs, records: map[string]modelRecord{}, ids: map[string]modelID{}}
}

func (r *modelRecord) dead(now int64) bool { return r.expires != 0 && r.expires <= now }

func (m *model) live(path string) (modelRecord, bool) {
	r, ok := m.records[path]
	return r, ok && !r.dead(m.nowMs)
}

// apply runs a command as a store would.
func (m *model) apply(id string, cmd codec.Command, payload string) (codec.Reply, *codec.Error) {
	for known, r := range m.ids {
		if m.nowMs-r.atMs >= codec.DedupWindow.Milliseconds() {
			delete(m.ids, known)
		}
	}
	if r, ok := m.ids[cmd.Op()+" "+id]; ok && id != "" {
		if r.payload != payload {
			return nil, m.at(&codec.Error{Code: codec.Invalid, Field: "Nats-Msg-Id"})
		}
		reply := r.reply
		reply.MarkDuplicate()
		*reply.At() = m.position()
		return reply, nil
	}
	first := len(m.events)
	for _, path := range modelPaths(cmd) {
		if r, ok := m.records[path]; ok && r.dead(m.nowMs) {
			m.remove(path, codec.OpExpire)
		}
	}
	records, revision, events := maps.Clone(m.records), m.revision, len(m.events)
	reply, err := m.run(cmd)
	if err != nil {
		m.records, m.revision, m.events = records, revision, m.events[:events]
	}
	for i := first; i < len(m.events); i++ {
		m.events[i].CommitRevision = m.revision
	}
	if err != nil {
		return nil, m.at(err)
	}
	_, beat := cmd.(*codec.Heartbeat)
	if id != "" && (!beat || m.revision > revision) {
		m.ids[cmd.Op()+" "+id] = modelID{m.nowMs, payload, withoutPrevious(reply)}
	}
	*reply.At() = m.position()
	return reply, nil
}

func (m *model) position() codec.Position {
	return codec.Position{StoreRevision: m.revision, Epoch: m.epoch}
}

func (m *model) at(e *codec.Error) *codec.Error {
	e.Position = m.position()
	return e
}

func modelPath(cmd codec.Command) string {
	switch c := cmd.(type) {
	case *codec.Set:
		return "kv:" + c.Key
	case *codec.Delete:
		return "kv:" + c.Key
	case *codec.Touch:
		return "kv:" + c.Key
	case *codec.Increment:
		return "kv:" + c.Key
	case *codec.Register:
		return "svc:" + c.Name + "\x00" + c.ID
	case *codec.Heartbeat:
		return "svc:" + c.Name + "\x00" + c.ID
	case *codec.Deregister:
		return "svc:" + c.Name + "\x00" + c.ID
	}
	return ""
}

func modelConditionPath(c codec.Condition) string {
	if c.Key != "" {
		return "kv:" + c.Key
	}
	return "svc:" + c.Name + "\x00" + c.ID
}

func modelPaths(cmd codec.Command) (paths []string) {
	batch, ok := cmd.(*codec.Batch)
	if !ok {
		return []string{modelPath(cmd)}
	}
	for _, op := range batch.Ops {
		paths = append(paths, modelPath(op))
	}
	for _, c := range batch.If {
		paths = append(paths, modelConditionPath(c))
	}
	return paths
}

func modelCondition(cmd codec.Command) *uint64 {
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

// named is a refusal that names a record.
func named(code codec.Code, path string) *codec.Error {
	e := &codec.Error{Code: code}
	if key, ok := strings.CutPrefix(path, "kv:"); ok {
		e.Key = key
	} else {
		e.Name, e.ID, _ = strings.Cut(path[len("svc:"):], "\x00")
	}
	return e
}

func (m *model) condition(path string, want *uint64) *codec.Error {
	if have := m.records[path].revision; want != nil && *want != have {
		e := named(codec.Conflict, path)
		e.Revision = &have
		return e
	}
	return nil
}

func (m *model) run(cmd codec.Command) (codec.Reply, *codec.Error) {
	if c, ok := cmd.(*codec.Clear); ok {
		return m.clear(c), nil
	}
	batch, ok := cmd.(*codec.Batch)
	if !ok {
		if e := m.condition(modelPath(cmd), modelCondition(cmd)); e != nil {
			return nil, e
		}
		return m.op(cmd)
	}
	for i, c := range batch.If {
		if e := m.condition(modelConditionPath(c), c.Revision); e != nil {
			return nil, within(e, "if", i)
		}
	}
	for i, op := range batch.Ops {
		if e := m.condition(modelPath(op), modelCondition(op)); e != nil {
			return nil, within(e, "ops", i)
		}
	}
	reply := &codec.BatchReply{}
	before := m.revision
	for i, op := range batch.Ops {
		result, e := m.op(op)
		if e != nil {
			return nil, within(e, "ops", i)
		}
		reply.Results = append(reply.Results, result)
		reply.Revision = result.Changed()
	}
	if m.revision > before {
		reply.Revision = m.revision
	}
	return reply, nil
}

func within(e *codec.Error, list string, i int) *codec.Error {
	at := int64(i)
	e.Index = &at
	field := fmt.Sprintf("%s[%d]", list, i)
	if e.Field != "" {
		field += "." + e.Field
	}
	e.Field = field
	return e
}

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
	c.TTLMs, c.ExpiresAtMs = r.ttl, r.expires
	if op == codec.OpSet {
		c.Value = r.value
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
