package engine

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/settkv/sett/codec"
)

// TestSlotHoldsItsPath for each length that a stored key has, and for one that
// none should have.
func TestSlotHoldsItsPath(t *testing.T) {
	const longest = len(kvPrefix) + codec.MaxKey
	var slots []*slot
	path := func(n int) string { return strings.Repeat(string(rune('a'+n%26)), n) }
	for n := range longest + 1 {
		scratch := []byte(path(n))
		slots = append(slots, newSlot(scratch), newSlot(path(n)), slotFor(path(n)))
		clear(scratch)
	}
	for _, s := range slots {
		s.now.Store(&record{revision: uint64(len(s.path()))})
	}
	runtime.GC()
	for i, s := range slots {
		if n := i / 3; s.path() != path(n) || s.visible().rec.revision != uint64(n) {
			t.Errorf("slot of %d bytes: %q, %+v", n, s.path(), s.visible().rec)
		}
	}
	if s := newSlot(path(65_000)); s.path() != path(65_000) {
		t.Error("a slot lost a long path")
	}
}

// TestSlotRooms: each room has a size of its own, in order, that ends where Go's
// next begins: a byte more would take the next piece of memory.
func TestSlotRooms(t *testing.T) {
	const head = int(unsafe.Offsetof(slot{}.text))
	classes := []int{24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 256}
	var rooms []int
	for _, s := range slotSizes {
		rooms = append(rooms, s.room+head)
	}
	if !slices.Equal(rooms, classes) || rooms[len(rooms)-1]-head >= apart {
		t.Errorf("slots take %v bytes, want %v", rooms, classes)
	}
}
