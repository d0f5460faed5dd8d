package engine

import (
	"sync"

	"github.com/settkv/sett/codec"
)

// queue is where requests wait for the writer: bounded, in order, and taken
// over whole, so that a wake-up costs one for a group and not one for each.
type queue struct {
	mu          sync.Mutex
	waiting     []*Request
	spare       []*Request // the slice that the writer has emptied
	bytes       int
	maxCommands int
	maxBytes    int
	closed      bool
	wake        chan struct{} // holds a value while anything waits
}

func (q *queue) put(r *Request) error {
	size := len(r.Payload) + requestOverhead
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return errUnavailable()
	}
	if len(q.waiting) >= q.maxCommands || q.bytes+size > q.maxBytes {
		q.mu.Unlock()
		return codec.Errorf(codec.Overloaded, "too many commands are waiting; try again")
	}
	q.waiting = append(q.waiting, r)
	q.bytes += size
	first := len(q.waiting) == 1
	q.mu.Unlock()
	if first {
		q.signal()
	}
	return nil
}

// putAhead queues a request whatever the bounds are: deadlines go on while
// writers are refused. It reports false once the queue is closed.
func (q *queue) putAhead(r *Request) bool {
	q.mu.Lock()
	ok := !q.closed
	if ok {
		q.waiting = append(q.waiting, r)
	}
	q.mu.Unlock()
	q.signal()
	return ok
}

// requestOverhead is about what a waiting request costs beyond its payload.
const requestOverhead = 256

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns everything that waits; ok is false once the queue is closed and
// empty. It blocks until there is something.
func (q *queue) take() (requests []*Request, ok bool) {
	for {
		q.mu.Lock()
		requests, q.waiting = q.waiting, q.spare[:0]
		q.spare, q.bytes = nil, 0
		closed := q.closed
		q.mu.Unlock()
		if len(requests) > 0 {
			return requests, true
		}
		q.giveBack(requests)
		if closed {
			return nil, false
		}
		<-q.wake
	}
}

// poll returns what waits, at once; ok is false once the queue is closed and
// empty.
func (q *queue) poll() (requests []*Request, ok bool) {
	q.mu.Lock()
	waiting, closed := len(q.waiting), q.closed
	q.mu.Unlock()
	if waiting == 0 {
		return nil, !closed
	}
	return q.take()
}

// giveBack returns a slice that take gave, for the next one.
func (q *queue) giveBack(requests []*Request) {
	clear(requests)
	q.mu.Lock()
	q.spare = requests[:0]
	q.mu.Unlock()
}

func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
}
