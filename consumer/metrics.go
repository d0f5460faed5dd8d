package consumer

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// Meter measures one endpoint of the contract: never by key, so that there are
// as many as the contract has subjects. To observe a request costs two atomic
// additions and two looks at the clock.
type Meter struct {
	Info *subjects.Info
	// Time counts requests by the nanoseconds from taking them off their queue
	// until the answer is handed to the connection, also those that failed.
	Time engine.Histogram

	errors []atomic.Uint64 // by the place of the code in codec.Codes
	last   atomic.Int32    // that of the last error, from 1; 0: there was none
}

// codes are those that an error can have.
var codes = codec.Codes()

// Errors is how many requests failed with a code.
func (m *Meter) Errors(code codec.Code) uint64 {
	if i := slices.Index(codes, code); i >= 0 {
		return m.errors[i].Load()
	}
	return 0
}

// Failed is how many requests failed.
func (m *Meter) Failed() (n uint64) {
	for i := range m.errors {
		n += m.errors[i].Load()
	}
	return n
}

// LastError names the last error as NATS services do, "409:conflict"; "" is
// none. It never has the message, which may quote a key.
func (m *Meter) LastError() string {
	i := m.last.Load()
	if i == 0 {
		return ""
	}
	code := codes[i-1]
	return strconv.Itoa(code.Status()) + ":" + string(code)
}

func (m *Meter) fail(code codec.Code) {
	i := slices.Index(codes, code)
	if i < 0 {
		i = slices.Index(codes, codec.Internal)
	}
	m.errors[i].Add(1)
	m.last.Store(int32(i + 1))
}

// stopwatch measures a request. How long one takes is real time, whatever clock
// a consumer has, and reading only the monotonic one costs a third less.
type stopwatch struct {
	meter *Meter
	began time.Duration // since start
}

var start = time.Now()

// measure begins to measure a request.
func (s *Stats) measure(info *subjects.Info) stopwatch {
	return stopwatch{s.meter(info), time.Since(start)}
}

// stop counts it.
func (w stopwatch) stop() { w.meter.Time.Observe(int64(time.Since(start) - w.began)) }

// meters are what [Stats] has by endpoint, made when they are first wanted.
type meters struct {
	once sync.Once
	list []*Meter
	by   map[*subjects.Info]*Meter
}

func (m *meters) begin() {
	m.by = make(map[*subjects.Info]*Meter)
	for _, info := range subjects.All() {
		meter := &Meter{Info: info, errors: make([]atomic.Uint64, len(codes))}
		m.list = append(m.list, meter)
		m.by[info] = meter
	}
}

// Meters returns one for each endpoint, in the contract's order.
func (s *Stats) Meters() []*Meter {
	s.meters.once.Do(s.meters.begin)
	return s.meters.list
}

// meter is that of an endpoint.
func (s *Stats) meter(info *subjects.Info) *Meter {
	s.meters.once.Do(s.meters.begin)
	return s.meters.by[info]
}

// failed counts an error to the endpoint of a subject.
func (s *Stats) failed(subject string, code codec.Code) {
	if info, _ := subjects.Parse(subject); info != nil {
		s.meter(info).fail(code)
	}
}

// Serving says how a store is served at this moment.
type Serving struct {
	Status          codec.StatusReply // what store.status answers
	Commands, Reads int               // messages that wait to be looked at
	FeedConnected   bool              // the feed can be announced
}

// Serving asks the consumer that these are the counters of; false: its
// subscriptions do not stand, or not any more.
func (s *Stats) Serving() (Serving, bool) {
	c := s.serving.Load()
	if c == nil {
		return Serving{}, false
	}
	status, err := c.status(nil, codec.Fit{})
	if err != nil {
		return Serving{}, false
	}
	return Serving{
		Status: *status, Commands: len(c.commands), Reads: len(c.reads), FeedConnected: c.relay.out.connected(),
	}, true
}
