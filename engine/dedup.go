package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/settkv/sett/codec"
)

// dedup remembers what the commands with a message id were answered, so that a
// repeat within the window is not applied again. All ids of a commit are stored
// as one entry, which goes when the last of them is forgotten.
type dedup struct {
	known map[idHash]*remembrance
	queue []*remembrance // oldest first
	nowMs int64
	fresh []*remembrance // of the group, not yet stored
	size  int            // bytes of fresh
	gone  []uint64       // commits whose ids are all forgotten
}

// idHash stands for (message subject, id).
type idHash [16]byte

// remembrance is one remembered command.
type remembrance struct {
	id      idHash
	payload [sha256.Size]byte
	atMs    int64
	commit  uint64 // where it is stored
	last    bool   // the last of its commit
	result  []byte // the reply, in msgpack
}

func newDedup() *dedup { return &dedup{known: make(map[idHash]*remembrance)} }

func hashID(subject, id string) idHash {
	sum := sha256.Sum256([]byte(subject + "\x00" + id))
	return idHash(sum[:16])
}

// begin forgets what is beyond the window, and the oldest where there are too
// many that are not too young.
func (d *dedup) begin(nowMs int64) {
	d.nowMs = nowMs
	for len(d.queue) > 0 {
		oldest := d.queue[0]
		age := nowMs - oldest.atMs
		full := len(d.queue) > codec.DedupMax && age >= codec.DedupMin.Milliseconds()
		if age < codec.DedupWindow.Milliseconds() && !full {
			return
		}
		if oldest.last {
			d.gone = append(d.gone, oldest.commit)
		}
		delete(d.known, oldest.id)
		d.queue[0] = nil
		d.queue = d.queue[1:]
	}
}

// find returns the reply to an earlier command with the same id, if there was
// one: its result, marked as a duplicate.
func (d *dedup) find(r *Request) (codec.Reply, error) {
	known, ok := d.known[hashID(r.Subject, r.ID)]
	if !ok {
		if len(d.queue) > codec.DedupMax {
			return nil, codec.Errorf(codec.Overloaded, "%d message ids are remembered already, and all are young", codec.DedupMax)
		}
		return nil, nil
	}
	if known.payload != sha256.Sum256(r.Payload) {
		return nil, codec.Invalidf("Nats-Msg-Id", "was used for another payload on %s", r.Subject)
	}
	reply := r.Command.NewReply()
	if err := codec.Decode(known.result, reply); err != nil {
		return nil, fmt.Errorf("engine: remembered reply to %s: %w", r.Subject, err)
	}
	reply.MarkDuplicate()
	return reply, nil
}

// remember keeps the reply to a command that succeeded.
func (d *dedup) remember(r *Request, reply codec.Reply) {
	e := &remembrance{
		id: hashID(r.Subject, r.ID), payload: sha256.Sum256(r.Payload), atMs: d.nowMs,
		result: codec.Append(nil, codec.Msgpack, withoutPrevious(reply)),
	}
	d.known[e.id] = e
	d.queue = append(d.queue, e)
	d.fresh = append(d.fresh, e)
	d.size += len(e.result) + sha256.Size + 32
}

// withoutPrevious is a reply as a repeat of its command gets it.
func withoutPrevious(reply codec.Reply) codec.Reply {
	switch r := reply.(type) {
	case *codec.SetReply:
		if r.Previous != nil {
			copied := *r
			copied.Previous = nil
			return &copied
		}
	case *codec.DeleteReply:
		if r.Previous != nil {
			copied := *r
			copied.Previous = nil
			return &copied
		}
	}
	return reply
}

func idsKey(commit uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(idsPrefix), commit)
}

// seal adds the group's ids to its writes, and deletes what is forgotten, not
// too many at once.
func (d *dedup) seal(commit uint64, writes []write) []write {
	n := min(len(d.gone), maxTrim)
	for _, old := range d.gone[:n] {
		writes = append(writes, write{key: idsKey(old), delete: true})
	}
	d.gone = slices.Delete(d.gone, 0, n)
	if len(d.fresh) == 0 {
		return writes
	}
	key := idsKey(commit)
	data := make([]byte, 0, d.size)
	for _, e := range d.fresh {
		e.commit = commit
		data = e.append(data)
	}
	d.fresh[len(d.fresh)-1].last = true
	d.fresh, d.size = nil, 0
	return append(writes, write{key: key, value: codec.Seal(data, key)})
}

func (e *remembrance) append(dst []byte) []byte {
	dst = append(dst, e.id[:]...)
	dst = append(dst, e.payload[:]...)
	dst = binary.AppendVarint(dst, e.atMs)
	dst = binary.AppendUvarint(dst, uint64(len(e.result)))
	return append(dst, e.result...)
}

// load takes in the stored ids of one commit; commits come in order.
func (d *dedup) load(key, stored []byte) error {
	data, err := codec.Unseal(key, stored)
	if err != nil {
		return err
	}
	commit := binary.BigEndian.Uint64(key[len(idsPrefix):])
	for len(data) > 0 {
		e := &remembrance{commit: commit}
		data = data[copy(e.id[:], data):]
		data = data[copy(e.payload[:], data):]
		at, n := binary.Varint(data)
		size, k := binary.Uvarint(data[max(n, 0):])
		if n <= 0 || k <= 0 || uint64(len(data)-n-k) < size {
			return fmt.Errorf("engine: message ids of commit %d are damaged", commit)
		}
		e.atMs, e.result = at, append([]byte(nil), data[n+k:n+k+int(size)]...)
		data = data[n+k+int(size):]
		e.last = len(data) == 0
		d.known[e.id] = e
		d.queue = append(d.queue, e)
	}
	return nil
}

// idle reports whether there is nothing about message ids to store.
func (d *dedup) idle() bool { return len(d.fresh) == 0 && len(d.gone) == 0 }
