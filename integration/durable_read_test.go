package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// feedStream is the name of the stream that keeps the durable feed.
const feedStream = "SETT_CHANGES"

// jetStream is a client of the broker's JetStream.
func jetStream(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// streamState is what the broker says of the feed's stream.
func streamState(t testing.TB, nc *nats.Conn) jetstream.StreamState {
	t.Helper()
	return streamInfo(t, nc).State
}

// streamInfo is what the broker says of the feed's stream.
func streamInfo(t testing.TB, nc *nats.Conn) *jetstream.StreamInfo {
	t.Helper()
	stream, err := jetStream(t, nc).Stream(t.Context(), feedStream)
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo()
}

// readStream reads every message of the feed's stream from a sequence on, and
// checks that the message of revision N has sequence N.
func readStream(t testing.TB, nc *nats.Conn, from uint64) []event {
	t.Helper()
	last := streamState(t, nc).LastSeq
	if last < from {
		return nil
	}
	ordered, err := jetStream(t, nc).OrderedConsumer(t.Context(), feedStream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from, InactiveThreshold: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	messages, err := ordered.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	defer time.AfterFunc(patience, messages.Stop).Stop()
	var events []event
	for {
		m, err := messages.Next()
		if err != nil {
			t.Fatalf("after %d messages of %d to %d: %v", len(events), from, last, err)
		}
		e, sequence := storedEvent(t, m)
		events = append(events, e)
		if sequence >= last {
			return events
		}
	}
}

// storedEvent is a message of the stream as an event.
func storedEvent(t testing.TB, m jetstream.Msg) (event, uint64) {
	t.Helper()
	meta, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	e := event{subject: m.Subject(), raw: m.Data()}
	if err := json.Unmarshal(m.Data(), &e); err != nil {
		t.Fatalf("message %d: %v in %s", meta.Sequence.Stream, err, clip(m.Data()))
	}
	if e.Revision != int64(meta.Sequence.Stream) {
		t.Errorf("the message of revision %d has sequence %d", e.Revision, meta.Sequence.Stream)
	}
	return e, meta.Sequence.Stream
}

// checkCommits checks that the changes of each commit stand together: they say
// the same last revision, the last of them has it, and none is missing.
func checkCommits(events []event) (wrong []error) {
	for i, e := range events {
		if e.CommitRevision == e.Revision || e.CommitRevision == 0 {
			continue
		}
		if i+1 == len(events) {
			return append(wrong, fmt.Errorf("revision %d is of a commit up to %d, and the last one", e.Revision, e.CommitRevision))
		}
		if next := events[i+1]; next.CommitRevision != e.CommitRevision || next.Epoch != e.Epoch {
			wrong = append(wrong, fmt.Errorf("the commit up to %d is cut off at %d: %s follows", e.CommitRevision, e.Revision, next.raw))
		}
	}
	return wrong
}

// announcedAll waits until the stream has every change of the store, and
// returns the store's epoch and revision.
func announcedAll(t testing.TB, nc *nats.Conn) (epoch, revision int64) {
	t.Helper()
	eventually(t, patience, func() error {
		status := must(t, nc, "store.status", "")
		feed := status["feed"].(obj)
		epoch, revision = status["epoch"].(int64), status["store_revision"].(int64)
		if feed["acked_revision"] != revision {
			return fmt.Errorf("the stream has revision %v of %d", feed["acked_revision"], revision)
		}
		return nil
	})
	if last := streamState(t, nc).LastSeq; int64(last) != revision {
		t.Errorf("the stream is at sequence %d, the store at revision %d", last, revision)
	}
	return epoch, revision
}

// wholeStream waits until the stream has all changes, and checks what every
// reader may rely on: sequence is revision, dense within an epoch, an epoch
// begins with its announcement, commits are whole. It returns the events.
func wholeStream(t testing.TB, nc *nats.Conn) []event {
	t.Helper()
	epoch, revision := announcedAll(t, nc)
	events := readStream(t, nc, 1)
	wrong := checkCommits(events)
	for i := 1; i < len(events); i++ {
		wrong = append(wrong, events[i].follows(events[i-1])...)
	}
	if n := len(events); n == 0 || events[n-1].Revision != revision || events[n-1].Epoch != epoch {
		wrong = append(wrong, fmt.Errorf("the stream ends after %d events, the store at epoch %d revision %d", n, epoch, revision))
	}
	if len(wrong) > 0 {
		t.Errorf("%d mistakes in the stream: %v", len(wrong), joined(wrong))
	}
	return events
}

// mustTellAll checks a stream that has everything from revision 1 on: applied,
// its events give the contents of the store.
func mustTellAll(t testing.TB, nc *nats.Conn) []event {
	t.Helper()
	events := wholeStream(t, nc)
	if len(events) == 0 || events[0].Revision != 1 {
		t.Fatalf("the stream does not begin with revision 1: %d events", len(events))
	}
	sameState(t, fold(t, events), contents(t, nc, ""))
	return events
}

// epochs lists the reasons of the epochs that events announce.
func epochs(events []event) (reasons []string) {
	for _, e := range events {
		if e.Op == "changed" {
			reasons = append(reasons, e.Reason)
			if e.subject != "store.changed."+e.Reason {
				reasons = append(reasons, "on "+e.subject)
			}
		}
	}
	return reasons
}

// wantEpochs fails unless the events announce exactly these epochs.
func wantEpochs(t testing.TB, events []event, reasons ...string) {
	t.Helper()
	if got := epochs(events); !slices.Equal(got, reasons) {
		t.Errorf("the stream announces the epochs [%s], not [%s]", strings.Join(got, " "), strings.Join(reasons, " "))
	}
}

// setMany sets keys one after the other.
func setMany(t testing.TB, nc *nats.Conn, prefix string, n int) (last int64) {
	t.Helper()
	for i := range n {
		last = set(t, nc, fmt.Sprintf("%s/%d", prefix, i), fmt.Sprint("v", i))
	}
	return last
}

// settle waits until every command that the clients of a load sent is applied,
// also those they gave up: a connection's commands are applied in order.
func (l *load) settle() {
	l.t.Helper()
	for i, c := range l.clients[:8] { // one on each connection
		set(l.t, c.nc, fmt.Sprint("settled/", i), "1")
	}
}
