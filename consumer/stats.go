package consumer

import (
	"sync/atomic"
)

// Stats counts what a consumer did since it began. The fields may be read at
// any time; each is written by few goroutines, and those that count every
// message lie apart, so that counting costs nobody another one's cache line.
type Stats struct {
	Commands atomic.Uint64 // commands that were taken in, well-formed or not
	_        [56]byte
	Reads    atomic.Uint64 // reads that were taken in
	_        [56]byte
	Events   atomic.Uint64 // changes that were announced
	_        [56]byte

	Errors     atomic.Uint64 // commands and reads that were refused or failed
	Internal   atomic.Uint64 // of them those with the code internal
	Overloaded atomic.Uint64 // of them those that a full queue refused
	Rejected   atomic.Uint64 // of them commands that nobody waited for
	Foreign    atomic.Uint64 // messages on none of the store's subjects, and reads that nobody waits for
	Unsent     atomic.Uint64 // replies that could not be handed to the connection
	Lost       atomic.Uint64 // messages that nats.go dropped because a queue overflowed

	Discovered atomic.Uint64 // NATS services that were registered, since Options.Discover
	Skipped    atomic.Uint64 // answers of such that could not be

	meters  meters
	serving atomic.Pointer[consumer] // nil: none serves
}
