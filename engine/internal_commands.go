package engine

import (
	"bytes"
	"maps"
	"slices"

	"github.com/settkv/sett/codec"
)

// Commands that only the engine itself gives. They go the same way as all
// others: the writer knows no second path.

// setService registers an instance that carries data.
type setService struct {
	codec.Register
	data []byte
}

// removeService deregisters the first instances of a name; its reply counts
// them.
type removeService struct{ codec.Deregister }

// newEpoch begins an epoch that is at least this, at a revision above another,
// and announces why.
type newEpoch struct {
	codec.Clear
	epoch  uint64
	above  uint64
	reason string
}

// internal tells whether a command goes on while those of clients are refused.
func internal(cmd codec.Command) bool {
	switch cmd.(type) {
	case *newEpoch, *expireDue, *renewals:
		return true
	}
	return false
}

func (m *machine) removeService(c *removeService) (codec.Reply, error) {
	paths, _ := m.below(instancesPath(c.Name), codec.MaxOps)
	reply := &codec.DeregisterReply{Deregistered: len(paths) > 0}
	for _, path := range paths {
		if rec, _ := m.get(path); rec.dead(m.nowMs) {
			m.expire(path)
			continue
		}
		name, id := splitInstance(path)
		reply.Revision = m.remove(path, codec.Change{Op: codec.OpDeregister, Name: name, ID: id})
	}
	return reply, nil
}

func (m *machine) newEpoch(c *newEpoch) codec.Reply {
	m.counters.epoch = max(c.epoch, m.counters.epoch+1)
	m.counters.revision = max(m.counters.revision, c.above)
	revision := m.next()
	m.announce(codec.Change{Op: codec.OpChanged, Reason: c.reason}, nil)
	reply := &codec.SetReply{}
	reply.Revision = revision
	return reply
}

// sameInstance compares what an owner registers; tags are sorted.
func sameInstance(a, b *codec.InstanceRecord) bool {
	return a.Address == b.Address && a.Port == b.Port && a.Status == b.Status && a.Note == b.Note &&
		slices.Equal(a.Tags, b.Tags) && maps.Equal(a.Meta, b.Meta) && bytes.Equal(a.Data, b.Data)
}

// exclusive runs a function in the writer's turn, with no group under way.
type exclusive struct {
	codec.Clear
	run func() error
}
