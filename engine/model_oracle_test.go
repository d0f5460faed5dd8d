package engine

import (
	"fmt"
	"maps"
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
