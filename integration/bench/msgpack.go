package main

import (
	"encoding/binary"
	"errors"
)

// The requests are written by hand into a buffer that each user keeps, and
// replies are walked over without decoding them: the clients share the two
// cores with what is measured.

func appendStr(b []byte, s []byte) []byte {
	if len(s) < 32 {
		b = append(b, 0xa0|byte(len(s)))
	} else {
		b = append(b, 0xd9, byte(len(s)))
	}
	return append(b, s...)
}

// appendKeyValue appends the fields "key" and "value".
func appendKeyValue(b, key, value []byte) []byte {
	b = append(b, "\xa3key"...)
	b = appendStr(b, key)
	b = append(b, "\xa5value\xc4"...)
	b = append(b, byte(len(value)))
	return append(b, value...)
}

// appendSet appends the request of kv.set.
func appendSet(b, key, value []byte) []byte {
	return appendKeyValue(append(b, 0x82), key, value)
}

// appendGet appends the request of kv.get.
func appendGet(b, key []byte) []byte {
	return appendStr(append(b, "\x81\xa3key"...), key)
}

// appendBatch appends the request of batch.apply, up to its ops.
func appendBatch(b []byte, ops int) []byte {
	b = append(b, "\x81\xa3ops\xdc"...)
	return binary.BigEndian.AppendUint16(b, uint16(ops))
}

// appendBatchSet appends one op.
func appendBatchSet(b, key, value []byte) []byte {
	return appendKeyValue(append(b, "\x83\xa2op\xa6kv.set"...), key, value)
}

// appendList appends the request of kv.list; cursor is what the last page gave
// as next, in its encoding, and empty for the first page.
func appendList(b []byte, cursor []byte) []byte {
	fields := byte(0x83)
	if len(cursor) > 0 {
		fields++
	}
	b = append(b, fields)
	b = appendStr(append(b, "\xa6prefix"...), []byte(listPrefix))
	b = append(b, "\xa5limit\xcd"...)
	b = binary.BigEndian.AppendUint16(b, listSize)
	b = append(b, "\xadreturn_values\xc3"...)
	if len(cursor) > 0 {
		b = append(append(b, "\xa6cursor"...), cursor...)
	}
	return b
}

var errMsgpack = errors.New("the reply is not the msgpack that was expected")

// A scanner walks over msgpack. The first error stays in err and ends it.
type scanner struct {
	rest []byte
	err  error
}

func (s *scanner) take(n int) []byte {
	if s.err != nil || n < 0 || n > len(s.rest) {
		s.err = errMsgpack
		return nil
	}
	taken := s.rest[:n]
	s.rest = s.rest[n:]
	return taken
}

func (s *scanner) number(size int) int {
	n := 0
	for _, c := range s.take(size) {
		n = n<<8 | int(c)
	}
	return n
}

// Kinds of an item, as far as the walk needs them.
const (
	scalar = iota
	bytesKind
	arrayKind
	mapKind
)

// head reads the head of an item: what it is, and its length in bytes,
// elements or pairs. A scalar's bytes are taken too.
func (s *scanner) head() (kind, length int) {
	first := s.take(1)
	if first == nil {
		return scalar, 0
	}
	switch c := first[0]; {
	case c < 0x80, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3:
	case c < 0x90:
		return mapKind, int(c & 15)
	case c < 0xa0:
		return arrayKind, int(c & 15)
	case c < 0xc0:
		return bytesKind, int(c & 31)
	case c >= 0xc4 && c <= 0xc6:
		return bytesKind, s.number(1 << (c - 0xc4))
	case c >= 0xd9 && c <= 0xdb:
		return bytesKind, s.number(1 << (c - 0xd9))
	case c == 0xdc || c == 0xdd:
		return arrayKind, s.number(2 << (c - 0xdc))
	case c == 0xde || c == 0xdf:
		return mapKind, s.number(2 << (c - 0xde))
	case c == 0xca || c == 0xcb:
		s.take(4 << (c - 0xca))
	case c >= 0xcc && c <= 0xcf:
		s.take(1 << (c - 0xcc))
	case c >= 0xd0 && c <= 0xd3:
		s.take(1 << (c - 0xd0))
	default: // extensions: the contract has none
		s.err = errMsgpack
	}
	return scalar, 0
}

// skip passes over one item and returns its bytes.
func (s *scanner) skip() []byte {
	before := s.rest
	for items := 1; items > 0 && s.err == nil; items-- {
		switch kind, n := s.head(); kind {
		case bytesKind:
			s.take(n)
		case arrayKind:
			items += n
		case mapKind:
			items += 2 * n
		}
	}
	return before[:len(before)-len(s.rest)]
}

// fields calls f with each field of a map; f passes over the field's value.
func (s *scanner) fields(f func(name string)) {
	kind, n := s.head()
	if kind != mapKind {
		s.err = errMsgpack
	}
	for ; n > 0 && s.err == nil; n-- {
		_, length := s.head()
		switch name := s.take(length); string(name) {
		case "value": // the usual ones without an allocation
			f("value")
		case "entries":
			f("entries")
		default:
			f(string(name))
		}
	}
}

// readPage walks over a reply of kv.list: how many entries have a value of the
// right size, and the cursor of the next page.
func readPage(reply []byte) (entries int, next []byte, err error) {
	s := scanner{rest: reply}
	s.fields(func(name string) {
		switch name {
		case "entries":
			_, n := s.head()
			for ; n > 0 && s.err == nil; n-- {
				entries += s.readEntry()
			}
		case "next":
			if next = s.skip(); len(next) == 1 { // nil or an empty string
				next = nil
			}
		default:
			s.skip()
		}
	})
	return entries, next, s.err
}

// readEntry passes over an entry: 1 if its value has the right size.
func (s *scanner) readEntry() (good int) {
	kind, n := s.head()
	if kind != mapKind {
		s.err = errMsgpack
	}
	for ; n > 0 && s.err == nil; n-- {
		_, length := s.head()
		if string(s.take(length)) != "value" {
			s.skip()
			continue
		}
		if _, size := s.head(); size == valueSize {
			good = 1
			s.take(size)
		} else {
			s.err = errMsgpack
		}
	}
	return good
}
