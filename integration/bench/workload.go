package main

import (
	crand "crypto/rand"
	"math/rand/v2"
)

// The workload, the same for every row.
const (
	keyCount    = 100_000 // keys bench/000001 to bench/100000
	keyDigits   = 6
	valueSize   = 128
	batchSize   = 100  // writes in one batch, transaction or MSET
	listSize    = 1000 // keys under listPrefix
	connections = 8    // of the client process

	keyPrefix  = "bench/"
	listPrefix = "bench/050" // bench/050000 to bench/050999
	listFirst  = 50_000
)

// An action is what one client does again and again while it is measured.
type action string

const (
	actSet   action = "set"
	actGet   action = "get"
	actBatch action = "batch"
	actList  action = "list"
	actEvent action = "event" // a set, done when its event has arrived
	actFill  action = "fill"  // not measured: writes a range of keys

	actHeartbeat action = "heartbeat" // of an instance, of heartbeatInstances
	actRegister  action = "register"  // not measured: registers a range of instances
	actExpiry    action = "expiry"    // sets, while many deadlines come
	actInstances action = "instances" // heartbeats at the rate that many instances need
)

// workload draws keys and values for one client. It is not safe for
// concurrent use.
type workload struct {
	rng    *rand.Rand
	count  int    // of keys
	digits int    // of a key's number
	random []byte // values are slices of this
	key    []byte
	keys   []int

	instances bool // fill registers instances instead
}

// randomPool is large enough that two values of a compressed block rarely
// overlap, and small enough to stay in the processor's cache.
const randomPool = 256 << 10

// newRandomPool makes the bytes that the values of a process are cut from:
// drawing 128 fresh ones for each write would cost the clients more than
// sending them.
func newRandomPool() []byte {
	pool := make([]byte, randomPool)
	crand.Read(pool) // never fails, says its documentation
	return pool
}

func newWorkload(user, count, digits int, pool []byte) *workload {
	return &workload{
		count:  count,
		digits: digits,
		rng:    rand.New(rand.NewPCG(rand.Uint64(), uint64(user))),
		random: pool,
	}
}

// index draws a key's number.
func (w *workload) index() int { return 1 + w.rng.IntN(w.count) }

// batch draws the keys of one batch: all different, which etcd insists on, and
// far apart. The slice is valid until the next call.
func (w *workload) batch() []int {
	const stride = 997 // batchSize of them are less than keyCount
	w.keys = w.keys[:0]
	start := w.index()
	for i := range batchSize {
		w.keys = append(w.keys, 1+(start+i*stride)%w.count)
	}
	return w.keys
}

// value draws a value; the caller must not change it.
func (w *workload) value() []byte {
	at := w.rng.IntN(len(w.random) - valueSize)
	return w.random[at : at+valueSize]
}

// keyName is the key with a number; it is valid until the next call.
func (w *workload) keyName(index int) []byte {
	w.key = append(w.key[:0], keyPrefix...)
	w.key = appendDigits(w.key, index, w.digits)
	return w.key
}

// appendDigits appends n in decimal, with leading zeros.
func appendDigits(b []byte, n, width int) []byte {
	at := len(b)
	for range width {
		b = append(b, '0')
	}
	for i := at + width - 1; i >= at; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return b
}
