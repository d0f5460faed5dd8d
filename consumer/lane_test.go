package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// laneTest is a stream, and lanes into it.
type laneTest struct {
	*testing.T
	ctx    context.Context
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

func newLaneTest(t *testing.T) *laneTest {
	t.Helper()
	conn, js := jetStream(t)
	ctx, cancel := context.WithTimeout(t.Context(), laneWait)
	t.Cleanup(cancel)
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	if err != nil {
		t.Fatal(err)
	}
	return &laneTest{t, ctx, conn, js, stream}
}

// lane is one that begins with a sequence.
func (l *laneTest) lane(first uint64) *lane {
	l.Helper()
	lane, err := newLane(l.conn, first-1)
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(lane.end)
	return lane
}

// publish sends the messages up to a sequence until one is refused.
func (l *laneTest) publish(to *lane, last uint64) error {
	for to.last < last {
		sequence := to.last + 1
		if err := to.publish(l.ctx, fmt.Sprint("s.", sequence), fmt.Append(nil, sequence), sequence == last); err != nil {
			return err
		}
	}
	return nil
}

// bring publishes up to a sequence, and has it confirmed.
func (l *laneTest) bring(to *lane, last uint64) {
	l.Helper()
	if err := errors.Join(l.publish(to, last), to.confirm(l.ctx)); err != nil {
		l.Fatalf("up to %d: %v", last, err)
	}
}

// holds fails unless the stream has exactly the messages up to a sequence, each
// at its own.
func (l *laneTest) holds(last uint64) {
	l.Helper()
	info, err := l.stream.Info(l.ctx)
	if err != nil {
		l.Fatal(err)
	}
	if info.State.LastSeq != last || info.State.Msgs != last {
		l.Fatalf("the stream has %d messages up to %d, not %d", info.State.Msgs, info.State.LastSeq, last)
	}
	for sequence := uint64(1); sequence <= last; sequence += max(1, last/50) {
		m, err := l.stream.GetMsg(l.ctx, sequence)
		if err != nil || string(m.Data) != fmt.Sprint(sequence) || m.Subject != fmt.Sprint("s.", sequence) {
			l.Fatalf("message %d is %+v: %v", sequence, m, err)
		}
	}
}

// TestLaneBringsAll: far more than a window, one by one, then another lane.
func TestLaneBringsAll(t *testing.T) {
	l := newLaneTest(t)
	to := l.lane(1)
	for _, last := range []uint64{10_000, 10_001, 10_001, 10_100} {
		l.bring(to, last)
	}
	l.bring(l.lane(10_101), 10_200)
	l.holds(10_200)
}

// TestLaneAsksSeldom: a message wants an acknowledgement where it is the first,
// where it is told to, and where none did for long.
func TestLaneAsksSeldom(t *testing.T) {
	l := newLaneTest(t)
	asked, err := l.conn.SubscribeSync("s.>")
	if err != nil {
		t.Fatal(err)
	}
	l.bring(l.lane(1), 2*askEvery)
	var asks []int
	for sequence := 1; sequence <= 2*askEvery; sequence++ {
		m, err := asked.NextMsg(laneWait)
		if err != nil {
			t.Fatal(err)
		}
		if m.Reply != "" {
			asks = append(asks, sequence)
		}
	}
	if want := []int{1, 1 + askEvery, 2 * askEvery}; !slices.Equal(asks, want) {
		t.Errorf("the messages %v ask for an acknowledgement, not %v", asks, want)
	}
}

// TestLaneIsRefused where the stream is elsewhere, behind or ahead, and says so.
// What it brings all the same is at its own sequence.
func TestLaneIsRefused(t *testing.T) {
	for _, begins := range []uint64{3, 5, 8} {
		t.Run(fmt.Sprint("at ", begins), func(t *testing.T) {
			l := newLaneTest(t)
			l.bring(l.lane(1), 5)
			to := l.lane(begins)
			err := l.publish(to, begins+3)
			if cerr := to.confirm(l.ctx); err == nil && cerr == nil {
				t.Errorf("a lane from %d on is confirmed", begins)
			}
			info, err := l.stream.Info(l.ctx)
			if err != nil {
				t.Fatal(err)
			}
			l.holds(info.State.LastSeq)
		})
	}
}

// TestLaneMeetsAnother: two lanes bring the same messages, as one that was given
// up and the next one may. The stream has each once.
func TestLaneMeetsAnother(t *testing.T) {
	l := newLaneTest(t)
	one, other := l.lane(1), l.lane(30)
	if err := l.publish(one, 50); err != nil {
		t.Fatal(err)
	}
	_ = l.publish(other, 120) // refused, or not: it begins where one may be
	_ = l.publish(one, 100)
	if one.confirm(l.ctx) == nil && other.confirm(l.ctx) == nil {
		t.Error("neither lane is refused")
	}
	info, err := l.stream.Info(l.ctx)
	if err != nil {
		t.Fatal(err)
	}
	l.holds(info.State.LastSeq)
}

// TestLaneLeftOpen: a lane that was given up does not disturb the next one.
func TestLaneLeftOpen(t *testing.T) {
	l := newLaneTest(t)
	left := l.lane(1)
	l.bring(left, 20)
	l.bring(l.lane(21), 40)
	if err := errors.Join(l.publish(left, 21), left.confirm(l.ctx)); err == nil {
		t.Error("the lane before goes on")
	}
	l.holds(40)
}

// TestLaneWithoutAStream ends with an error, and soon.
func TestLaneWithoutAStream(t *testing.T) {
	l := newLaneTest(t)
	if err := l.js.DeleteStream(l.ctx, "S"); err != nil {
		t.Fatal(err)
	}
	to := l.lane(1)
	err := errors.Join(l.publish(to, 3), to.confirm(l.ctx))
	if !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a stream that is gone: %v", err)
	}
}

// TestLaneThatIsEmpty has nothing to confirm.
func TestLaneThatIsEmpty(t *testing.T) {
	l := newLaneTest(t)
	if err := l.lane(7).confirm(l.ctx); err != nil {
		t.Error(err)
	}
}
