package consumer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// laneWait is how long a test waits for what must happen.
const laneWait = 10 * time.Second

// jetStream runs a broker with JetStream, and connects to it.
func jetStream(t *testing.T) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(laneWait) {
		t.Fatal("the broker does not listen")
	}
	conn, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return conn, js
}

// laneTest is a stream, and lanes of one kind into it.
type laneTest struct {
	t      *testing.T
	ctx    context.Context
	js     jetstream.JetStream
	stream jetstream.Stream
	lane   func() lane
}

// lanes runs a test with each kind of lane.
func lanes(t *testing.T, test func(*laneTest)) {
	t.Helper()
	for _, kind := range []string{"fast", "async"} {
		t.Run(kind, func(t *testing.T) {
			conn, js := jetStream(t)
			ctx, cancel := context.WithTimeout(t.Context(), laneWait)
			defer cancel()
			stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowBatchPublish: kind == "fast"})
			if err != nil {
				t.Fatal(err)
			}
			test(&laneTest{t: t, ctx: ctx, js: js, stream: stream, lane: func() lane {
				var l lane
				if kind == "fast" {
					l, err = newFastLane(js)
				} else {
					l, err = newAsyncLane(conn)
				}
				if err != nil {
					t.Fatal(err)
				}
				return l
			}})
		})
	}
}

// publish sends the messages of some sequences until one is refused.
func (l *laneTest) publish(to lane, from, last uint64) error {
	for sequence := from; sequence <= last; sequence++ {
		if err := to.publish(l.ctx, fmt.Sprint("s.", sequence), sequence, fmt.Append(nil, sequence)); err != nil {
			return err
		}
	}
	return nil
}

// holds fails unless the stream has exactly the messages up to a sequence, each
// at its own.
func (l *laneTest) holds(last uint64) {
	l.t.Helper()
	info, err := l.stream.Info(l.ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	if info.State.LastSeq != last || info.State.Msgs != last {
		l.t.Fatalf("the stream has %d messages up to %d, not %d", info.State.Msgs, info.State.LastSeq, last)
	}
	for sequence := uint64(1); sequence <= last; sequence += max(1, last/50) {
		m, err := l.stream.GetMsg(l.ctx, sequence)
		if err != nil || string(m.Data) != fmt.Sprint(sequence) || m.Subject != fmt.Sprint("s.", sequence) {
			l.t.Fatalf("message %d is %+v: %v", sequence, m, err)
		}
	}
}

// TestLaneBringsAll: far more than a window, then a lane that goes on.
func TestLaneBringsAll(t *testing.T) {
	lanes(t, func(l *laneTest) {
		for _, part := range [][2]uint64{{1, 10_000}, {10_001, 10_001}, {10_002, 10_100}} {
			to := l.lane()
			if err := l.publish(to, part[0], part[1]); err != nil {
				t.Fatal(err)
			}
			if last, err := to.close(l.ctx); err != nil || last != part[1] {
				t.Fatalf("closed at %d, not %d: %v", last, part[1], err)
			}
		}
		l.holds(10_100)
	})
}

// TestLaneIsRefused where the stream is elsewhere, behind or ahead, and says so.
// What it brings all the same is at its own sequence.
func TestLaneIsRefused(t *testing.T) {
	for _, begins := range []uint64{3, 5, 8} {
		t.Run(fmt.Sprint("at ", begins), func(t *testing.T) {
			lanes(t, func(l *laneTest) {
				first := l.lane()
				if err := l.publish(first, 1, 5); err != nil {
					t.Fatal(err)
				}
				if _, err := first.close(l.ctx); err != nil {
					t.Fatal(err)
				}
				to := l.lane()
				err := l.publish(to, begins, begins+3)
				last, cerr := to.close(l.ctx)
				if err == nil && cerr == nil {
					t.Errorf("a lane from %d on is closed at %d", begins, last)
				}
				info, err := l.stream.Info(l.ctx)
				if err != nil {
					t.Fatal(err)
				}
				l.holds(info.State.LastSeq)
			})
		})
	}
}

// TestLaneMeetsAnother: two lanes bring the same messages, as two processes
// would at a takeover. The stream has each once.
func TestLaneMeetsAnother(t *testing.T) {
	lanes(t, func(l *laneTest) {
		one, other := l.lane(), l.lane()
		if err := l.publish(one, 1, 50); err != nil {
			t.Fatal(err)
		}
		_ = l.publish(other, 30, 120) // refused, or not: it begins where one may be
		_ = l.publish(one, 51, 100)
		_, oneErr := one.close(l.ctx)
		_, otherErr := other.close(l.ctx)
		if oneErr == nil && otherErr == nil {
			t.Error("neither lane is refused")
		}
		info, err := l.stream.Info(l.ctx)
		if err != nil {
			t.Fatal(err)
		}
		l.holds(info.State.LastSeq)
	})
}

// TestLaneLeftOpen: a lane that was given up does not disturb the next one.
func TestLaneLeftOpen(t *testing.T) {
	lanes(t, func(l *laneTest) {
		left := l.lane()
		if err := l.publish(left, 1, 20); err != nil {
			t.Fatal(err)
		}
		for {
			info, err := l.stream.Info(l.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if info.State.LastSeq == 20 {
				break
			}
		}
		next := l.lane()
		if err := l.publish(next, 21, 40); err != nil {
			t.Fatal(err)
		}
		if last, err := next.close(l.ctx); err != nil || last != 40 {
			t.Errorf("closed at %d: %v", last, err)
		}
		l.holds(40)
	})
}

// TestLaneWithoutAStream ends with an error, and soon.
func TestLaneWithoutAStream(t *testing.T) {
	lanes(t, func(l *laneTest) {
		if err := l.js.DeleteStream(l.ctx, "S"); err != nil {
			t.Fatal(err)
		}
		to := l.lane()
		err := l.publish(to, 1, 3)
		if _, cerr := to.close(l.ctx); err == nil && cerr == nil {
			t.Error("a stream that is gone takes messages")
		}
		if l.ctx.Err() != nil {
			t.Error(l.ctx.Err())
		}
	})
}

// TestLaneThatIsEmpty says so.
func TestLaneThatIsEmpty(t *testing.T) {
	lanes(t, func(l *laneTest) {
		if last, err := l.lane().close(l.ctx); err == nil {
			t.Errorf("closed at %d", last)
		}
	})
}
