package engine

import (
	"strings"
	"sync/atomic"
	"unsafe"
)

// slot holds a key's record as long as the key lives, so that overwriting it
// changes one pointer and not the tree.
//
// The path's bytes stand behind it in the same piece of memory: as a string of
// its own it would take 24 bytes more for a key of 32, and looking at it one more
// cache miss, of which finding a key has two dozen. So a slot is made by
// [newSlot] or [slotFor] only, and never copied.
//
//	now (8) | size (1) | path, as many bytes as size says
//	now (8) | size (1), apart | 7 bytes | the path as a string
type slot struct {
	now  atomic.Pointer[record] // what readers see
	size uint8
	text [7]byte // the path begins here
}

// apart says in place of a size that the slot is one of a [slotApart].
const apart = 255

// slotApart is a slot whose path is elsewhere.
type slotApart struct {
	slot
	path string
}

// slotFor returns a slot to search with, which refers to path.
func slotFor(path string) *slot {
	s := &slotApart{path: path}
	s.size = apart
	return &s.slot
}

// newSlot returns a slot with a copy of the path.
func newSlot[text string | []byte](path text) *slot {
	for i := range slotSizes {
		if len(path) <= slotSizes[i].room {
			s := slotSizes[i].make()
			s.size = uint8(len(path))
			copy(unsafe.Slice(&s.text[0], len(path)), path)
			return s
		}
	}
	return slotFor(strings.Clone(string(path)))
}

// path is the stored key. The string is part of the slot's memory.
func (s *slot) path() string {
	if s.size == apart {
		return (*slotApart)(unsafe.Pointer(s)).path
	}
	return unsafe.String(&s.text[0], int(s.size))
}

func (s *slot) visible() item { return item{path: s.path(), rec: s.now.Load()} }

// slotSizes are the slots with room for paths, in the sizes in which Go gives
// memory: 24, 32, 48, 64 bytes and so on.
var slotSizes = [...]struct {
	room int
	make func() *slot
}{
	{15, roomy[[15]byte]}, {23, roomy[[23]byte]}, {39, roomy[[39]byte]}, {55, roomy[[55]byte]}, {71, roomy[[71]byte]},
	{87, roomy[[87]byte]}, {103, roomy[[103]byte]}, {119, roomy[[119]byte]}, {151, roomy[[151]byte]}, {183, roomy[[183]byte]},
	{247, roomy[[247]byte]},
}

// roomy returns an empty slot with room for a path of T's size.
func roomy[T any]() *slot {
	s := new(struct {
		now  atomic.Pointer[record]
		size uint8
		text T
	})
	return (*slot)(unsafe.Pointer(s))
}
