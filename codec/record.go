package codec

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Record is what the store keeps for a key or an instance. Its bytes are
//
//	version (1) | revision | created | ttl_ms | expires_at_ms (uvarints) | value | CRC-32C (4)
//
// where the checksum covers the record's own key too, so that a record that
// was swapped or damaged on disk is an error and never a wrong answer.
type Record struct {
	Revision    uint64
	Created     uint64
	TTLMs       int64
	ExpiresAtMs int64
	Value       []byte
}

// InstanceRecord is the value of an instance's [Record], in msgpack. Data is
// what the engine's SetService keeps; it is never on the wire.
type InstanceRecord struct {
	Instance
	Data []byte `wire:"data,omitempty"`
}

const recordVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendRecord writes the record of a stored key after dst.
func AppendRecord(dst []byte, key []byte, r *Record) []byte {
	start := len(dst)
	dst = append(dst, recordVersion)
	dst = binary.AppendUvarint(dst, r.Revision)
	dst = binary.AppendUvarint(dst, r.Created)
	dst = binary.AppendUvarint(dst, uint64(r.TTLMs))
	dst = binary.AppendUvarint(dst, uint64(r.ExpiresAtMs))
	dst = append(dst, r.Value...)
	return appendSum(dst, start, key)
}

// ParseRecord reads the record of a stored key. Value aliases data. Damage is
// an error that names the key; it is never a client's fault.
func ParseRecord(key, data []byte) (Record, error) {
	body, err := checkSum(key, data, recordVersion)
	if err != nil {
		return Record{}, err
	}
	p := parser{rest: body[1:]}
	r := Record{
		Revision: p.uvarint(), Created: p.uvarint(),
		TTLMs: int64(p.uvarint()), ExpiresAtMs: int64(p.uvarint()),
	}
	r.Value = p.rest
	if p.short {
		return Record{}, damaged(key)
	}
	return r, nil
}

func appendSum(dst []byte, start int, key []byte) []byte {
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, dst[start:])
	return binary.LittleEndian.AppendUint32(dst, sum)
}

// checkSum returns the bytes between the key and the checksum, version first.
func checkSum(key, data []byte, version byte) ([]byte, error) {
	if len(data) < 5 {
		return nil, damaged(key)
	}
	body, sum := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body) != sum {
		return nil, damaged(key)
	}
	if body[0] != version {
		return nil, fmt.Errorf("codec: record %q has format version %d, this program reads %d", key, body[0], version)
	}
	return body, nil
}

func damaged(key []byte) error { return fmt.Errorf("codec: record %q is damaged", key) }

// Seal turns data that is stored under key into what is stored: with a version
// and a checksum that [Unseal] verifies.
func Seal(data, key []byte) []byte {
	sealed := append(make([]byte, 0, len(data)+5), recordVersion)
	return appendSum(append(sealed, data...), 0, key)
}

// Unseal returns what [Seal] was given. The result aliases stored.
func Unseal(key, stored []byte) ([]byte, error) {
	body, err := checkSum(key, stored, recordVersion)
	if err != nil {
		return nil, err
	}
	return body[1:], nil
}

// EventKind says what an [Event] is about, and so where it is announced.
type EventKind byte

// Kinds of event.
const (
	KeyEvent     EventKind = 'k' // kv.changed.<key>
	ServiceEvent EventKind = 's' // svc.changed.<name>.<id>
	StoreEvent   EventKind = 'c' // store.changed.<reason>
)

// Event is a [Change] in the bytes to be published, with what its subject is
// made of.
type Event struct {
	Revision uint64
	Kind     EventKind
	Name     string // the key, the service's name, or the reason
	ID       string // of a ServiceEvent
	Payload  []byte
}

func appendBytes[T string | []byte](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// parser takes fields off the front of rest; short says that it ran out.
type parser struct {
	rest  []byte
	short bool
}

func (p *parser) uvarint() uint64 {
	n, size := binary.Uvarint(p.rest)
	if size <= 0 {
		p.short, p.rest = true, nil
		return 0
	}
	p.rest = p.rest[size:]
	return n
}

func (p *parser) byte() byte {
	if len(p.rest) == 0 {
		p.short = true
		return 0
	}
	b := p.rest[0]
	p.rest = p.rest[1:]
	return b
}

func (p *parser) bytes() []byte {
	n := p.uvarint()
	if n > uint64(len(p.rest)) {
		p.short, p.rest = true, nil
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}
