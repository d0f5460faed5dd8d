package engine

import (
	"maps"

	"github.com/settkv/sett/codec"
)

// mortal is what a plain model knows of a record: when it ends, and what the
// next command makes of that.
type mortal struct {
	revision     uint64
	ttl, expires int64 // 0: never
	text         bool  // a value that is no number
	status, note string
}

func (r mortal) dead(nowMs int64) bool { return r.expires != 0 && r.expires <= nowMs }

// mortals is the model: every record that was not ended, also those past their
// deadline.
type mortals struct {
	nowMs   int64
	records map[string]mortal
	buried  map[string]mortal // whose end must be announced, by path
}

func (m *mortals) until(ttl int64) int64 {
	if ttl == 0 {
		return 0
	}
	return m.nowMs + ttl
}

// bury ends the records of some paths that are past their deadline.
func (m *mortals) bury(paths []string) {
	for _, path := range paths {
		if r, ok := m.records[path]; ok && r.dead(m.nowMs) {
			delete(m.records, path)
			m.buried[path] = r
		}
	}
}

// buryAll is what a sweep does.
func (m *mortals) buryAll() {
	for path := range maps.Clone(m.records) {
		m.bury([]string{path})
	}
}

// apply runs a command, whose ops are all done or none. It tells whether it is
// refused, and what deadline each op gave its record.
func (m *mortals) apply(cmd codec.Command) (ok bool, deadlines []int64) {
	m.bury(modelPaths(cmd))
	before := maps.Clone(m.records)
	ops := []codec.Command{cmd}
	if batch, is := cmd.(*codec.Batch); is {
		ops = batch.Ops
		for _, c := range batch.If {
			if m.records[modelConditionPath(c)].revision != *c.Revision {
				return false, nil
			}
		}
	}
	for _, op := range ops {
		if !m.op(modelPath(op), op) {
			m.records = before
			return false, nil
		}
		deadlines = append(deadlines, m.records[modelPath(op)].expires)
	}
	return true, deadlines
}

// took notes the revisions that the store gave.
func (m *mortals) took(cmd codec.Command, reply codec.Reply) {
	ops, replies := []codec.Command{cmd}, []codec.Reply{reply}
	if batch, ok := cmd.(*codec.Batch); ok {
		ops, replies = batch.Ops, reply.(*codec.BatchReply).Results
	}
	for i, op := range ops {
		path := modelPath(op)
		if r, ok := m.records[path]; ok {
			r.revision = replies[i].Changed()
			m.records[path] = r
		}
	}
}

// op runs one op on a record that is not dead; it reports false if it must be
// refused.
func (m *mortals) op(path string, op codec.Command) bool {
	r, existed := m.records[path]
	switch c := op.(type) {
	case *codec.Set:
		if !c.KeepTTL {
			r.ttl, r.expires = c.TTLMs, m.until(c.TTLMs)
		}
		r.text = string(c.Value) == "text"
	case *codec.Touch:
		if !existed {
			return false
		}
		if c.TTLMs != nil {
			r.ttl = *c.TTLMs
		}
		r.expires = m.until(r.ttl)
	case *codec.Increment:
		if r.text {
			return false
		}
		if !existed {
			r.ttl, r.expires = c.TTLMs, m.until(c.TTLMs)
		}
	case *codec.Register:
		r.ttl, r.expires = c.TTLMs, m.until(c.TTLMs)
		r.status, r.note = codec.Passing, c.Note
	case *codec.Heartbeat:
		if !existed {
			return false
		}
		r.expires = m.until(r.ttl)
		if c.Status != "" {
			r.status = c.Status
		}
	case *codec.Delete, *codec.Deregister:
		delete(m.records, path)
		return true
	}
	m.records[path] = r
	return true
}
