package integration

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
)

// bulk is a few clients beside a load that write much, so that the store goes
// from one file of its log to the next while it is watched.
type bulk struct {
	t       testing.TB
	writers [4]bulkWriter
	running sync.WaitGroup
	padding string
}

// bulkWriter overwrites one key with rising numbers.
type bulkWriter struct {
	key         string
	sent, acked int
}

func newBulk(t testing.TB) *bulk {
	b := &bulk{t: t, padding: strings.Repeat("x", 400<<10)}
	for i := range b.writers {
		b.writers[i].key = fmt.Sprint("bulk/", i)
	}
	return b
}

// start has the clients write until a request fails or its connection does.
func (b *bulk) start(url string) {
	b.t.Helper()
	for i := range b.writers {
		lost := make(chan struct{})
		nc := connect(b.t, url, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(lost) }))
		b.running.Go(func() { b.writers[i].run(nc, b.padding, lost) })
	}
}

func (w *bulkWriter) run(nc *nats.Conn, padding string, lost chan struct{}) {
	inbox := nc.NewRespInbox()
	replies := make(chan *nats.Msg, 1)
	if _, err := nc.ChanSubscribe(inbox, replies); err != nil {
		return
	}
	for {
		w.sent++
		if nc.PublishRequest("kv.set", inbox, fmt.Appendf(nil, `{"key":%q,"value":"%d %s"}`, w.key, w.sent, padding)) != nil {
			return
		}
		var reply loadReply
		select {
		case m := <-replies:
			if json.Unmarshal(m.Data, &reply) != nil || reply.Code != "" || reply.Revision == 0 {
				return
			}
			w.acked = w.sent
		case <-lost:
			return
		}
	}
}

// wait waits until the clients have ended, as they do when the store has.
func (b *bulk) wait() { b.running.Wait() }

// verify checks that each key has the number that was acknowledged last, or the
// one that nobody answered.
func (b *bulk) verify(nc *nats.Conn) {
	b.t.Helper()
	for i := range b.writers {
		w := &b.writers[i]
		value, _, _ := get(b.t, nc, w.key)
		text, _, _ := strings.Cut(value, " ")
		n, _ := strconv.Atoi(text)
		if n != w.acked && n != w.sent {
			b.t.Errorf("%s has number %d; %d was acknowledged, %d was sent", w.key, n, w.acked, w.sent)
		}
		w.acked = n
	}
}

// acked is how many writes were acknowledged.
func (b *bulk) acked() (n int) {
	for i := range b.writers {
		n += b.writers[i].acked
	}
	return n
}
