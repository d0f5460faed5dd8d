package codec

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Part is an entry of the outbox: changes of one commit, in order. Its bytes are
//
//	version (1) | encoding (1) | commit | last | size (uvarints) | changes | CRC-32C (4)
//
// and those of a change
//
//	op and what it holds (1) | revision | epoch | previous_revision | commit_revision | time_ms |
//	ttl_ms | expires_at_ms (uvarints) | key | name | id | reason | value or instance (each with its length)
//
// An [OpSet] without a value is one whose value the same commit stored in the
// key's record: it is not stored twice.
type Part struct {
	Commit   uint64   // that stored it
	Encoding Encoding // of the events
	Last     uint64   // the last change's revision
	Size     int      // of the events, in bytes

	key     []byte // under which it is stored
	changes []byte // encoded
}

const partVersion = 2

// storedOps are the ops by the number that stands for each where it is stored.
var storedOps = []string{1: OpSet, OpDelete, OpExpire, OpRegister, OpDeregister, OpChanged}

// What a stored change holds, beside its op.
const (
	holdsValue    = 1 << 7
	holdsInstance = 1 << 6
)

// AppendPart begins a part after dst. Its changes follow ([AppendChange]), and
// then its end ([SealPart]).
func AppendPart(dst []byte, p *Part) []byte {
	dst = append(dst, partVersion, byte(p.Encoding))
	dst = binary.AppendUvarint(dst, p.Commit)
	dst = binary.AppendUvarint(dst, p.Last)
	return binary.AppendUvarint(dst, uint64(p.Size))
}

// AppendChange writes a change of a part after dst, without its value where
// that stands in the key's record.
func AppendChange(dst []byte, c *Change, inRecord bool) []byte {
	op := byte(slices.Index(storedOps, c.Op))
	switch {
	case c.Instance != nil:
		op |= holdsInstance
	case c.Value != nil && !inRecord:
		op |= holdsValue
	}
	dst = append(dst, op)
	for _, n := range [...]uint64{
		c.Revision, c.Epoch, c.PreviousRevision, c.CommitRevision, uint64(c.TimeMs), uint64(c.TTLMs), uint64(c.ExpiresAtMs),
	} {
		dst = binary.AppendUvarint(dst, n)
	}
	for _, s := range [...]string{c.Key, c.Name, c.ID, c.Reason} {
		dst = appendBytes(dst, s)
	}
	switch {
	case op&holdsInstance != 0:
		dst = appendBytes(dst, Append(nil, Msgpack, c.Instance))
	case op&holdsValue != 0:
		dst = appendBytes(dst, c.Value)
	}
	return dst
}

// SealPart ends the part that begins at start in dst and is stored under key.
func SealPart(dst []byte, start int, key []byte) []byte { return appendSum(dst, start, key) }

// ParsePart reads the head of the part that is stored under key, and checks all
// of it against its checksum. It keeps key and data.
func ParsePart(key, data []byte) (Part, error) {
	body, err := checkSum(key, data, partVersion)
	if err != nil {
		return Part{}, err
	}
	p := parser{rest: body[1:]}
	part := Part{key: key, Encoding: Encoding(p.byte()), Commit: p.uvarint(), Last: p.uvarint(), Size: int(p.uvarint())}
	part.changes = p.rest
	if p.short || part.Encoding > JSON || part.Size < 0 {
		return Part{}, damaged(key)
	}
	return part, nil
}

// Changes reads the changes of a part that was parsed. Values alias the part.
func (p *Part) Changes() ([]Change, error) {
	var changes []Change
	for r := (parser{rest: p.changes}); len(r.rest) > 0; {
		c, err := r.change()
		if err != nil || r.short {
			return nil, fmt.Errorf("%w, at its change %d", damaged(p.key), len(changes)+1)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

func (p *parser) change() (c Change, err error) {
	op := p.byte()
	number := int(op &^ (holdsValue | holdsInstance))
	if number == 0 || number >= len(storedOps) {
		p.short = true
		return c, nil
	}
	c = Change{
		Op:       storedOps[number],
		Revision: p.uvarint(), Epoch: p.uvarint(), PreviousRevision: p.uvarint(), CommitRevision: p.uvarint(),
		TimeMs: int64(p.uvarint()), TTLMs: int64(p.uvarint()), ExpiresAtMs: int64(p.uvarint()),
		Key: string(p.bytes()), Name: string(p.bytes()), ID: string(p.bytes()), Reason: string(p.bytes()),
	}
	switch {
	case op&holdsInstance != 0:
		c.Instance = &Instance{}
		err = Decode(p.bytes(), c.Instance)
	case op&holdsValue != 0:
		c.Value = p.bytes()
	}
	return c, err
}
