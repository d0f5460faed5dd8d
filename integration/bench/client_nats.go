package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// natsClient speaks sett's contract over plain nats.go requests. The same code
// measures the echo: only the server differs.
type natsClient struct {
	conns     []*nats.Conn
	announced string         // the subject of a set that has an event
	events    chan time.Time // when an event arrived
}

func newNATSClient(address string, conns int, announced string) (*natsClient, error) {
	c := &natsClient{announced: announced}
	var err error
	c.conns, err = dialNATS(address, conns)
	return c, err
}

// dialNATS opens connections that fail rather than reconnect.
func dialNATS(address string, n int) (conns []*nats.Conn, err error) {
	for range n {
		conn, err := nats.Connect("nats://"+address, nats.NoReconnect(), nats.Timeout(requestTimeout))
		if err != nil {
			closeAll(conns)
			return nil, err
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

func closeAll(conns []*nats.Conn) {
	for _, conn := range conns {
		conn.Close()
	}
}

func (c *natsClient) close() { closeAll(c.conns) }

func (c *natsClient) conn(user int) *nats.Conn { return c.conns[user%len(c.conns)] }

// probe counts "no such key" as an answer.
func (c *natsClient) probe() error {
	m, err := c.conns[0].Request("kv.get", appendGet(nil, []byte("none")), requestTimeout)
	if err == nil && m.Header.Get(errorCodeHeader) != "404" {
		err = refusal(m)
	}
	return err
}

const (
	errorCodeHeader = "Nats-Service-Error-Code"
	errorHeader     = "Nats-Service-Error"
)

// refusal is the error that a reply carries. Only errors have headers at all,
// so that success costs one comparison.
func refusal(m *nats.Msg) error {
	if len(m.Header) == 0 {
		return nil
	}
	return fmt.Errorf("%s: refused: %s %s", m.Subject, m.Header.Get(errorCodeHeader), m.Header.Get(errorHeader))
}

// ask sends one request and returns a reply that is not a refusal.
func ask(conn *nats.Conn, subject string, payload []byte) (*nats.Msg, error) {
	m, err := conn.Request(subject, payload, requestTimeout)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", subject, err)
	}
	return m, refusal(m)
}

func (c *natsClient) operation(user int, do action, w *workload) (operation, error) {
	conn := c.conn(user)
	var request []byte
	switch do {
	case actSet:
		return func() (time.Time, error) {
			request = appendSet(request[:0], w.keyName(w.index()), w.value())
			_, err := ask(conn, "kv.set", request)
			return time.Now(), err
		}, nil
	case actGet:
		return func() (time.Time, error) {
			request = appendGet(request[:0], w.keyName(w.index()))
			_, err := ask(conn, "kv.get", request)
			return time.Now(), err
		}, nil
	case actBatch:
		return func() (time.Time, error) {
			request = appendBatch(request[:0], batchSize)
			for _, key := range w.batch() {
				request = appendBatchSet(request, w.keyName(key), w.value())
			}
			_, err := ask(conn, "batch.apply", request)
			return time.Now(), err
		}, nil
	case actList:
		return func() (time.Time, error) { return listPages(conn) }, nil
	case actEvent:
		return c.eventOperation(conn, w)
	case actHeartbeat:
		return heartbeatOperation(conn, user, w)
	}
	return nil, fmt.Errorf("sett has no action %q", do)
}

// listPages walks over the pages of one list.
func listPages(conn *nats.Conn) (time.Time, error) {
	var cursor []byte
	for total := 0; ; {
		m, err := ask(conn, "kv.list", appendList(nil, cursor))
		if err != nil {
			return time.Time{}, err
		}
		var entries int
		if entries, cursor, err = readPage(m.Data); err != nil {
			return time.Time{}, fmt.Errorf("kv.list: %w", err)
		}
		total += entries
		if len(cursor) == 0 {
			return time.Now(), expectListed(total)
		}
	}
}

func expectListed(entries int) error {
	if entries != listSize {
		return fmt.Errorf("a list had %d entries with values, not %d", entries, listSize)
	}
	return nil
}

// eventOperation sets a key and waits for its event on another connection,
// where nothing but events arrives.
func (c *natsClient) eventOperation(conn *nats.Conn, w *workload) (operation, error) {
	if c.events != nil {
		return nil, errors.New("the event action is for one client")
	}
	c.events = make(chan time.Time, 16)
	listener, err := nats.Connect(conn.ConnectedUrl(), nats.NoReconnect())
	if err != nil {
		return nil, err
	}
	c.conns = append(c.conns, listener)
	_, err = listener.Subscribe("kv.changed.bench.>", func(*nats.Msg) { c.events <- time.Now() })
	if err == nil {
		err = listener.Flush()
	}
	var request []byte
	return func() (time.Time, error) {
		request = appendSet(request[:0], w.keyName(w.index()), w.value())
		if _, err := ask(conn, c.announced, request); err != nil {
			return time.Time{}, err
		}
		return awaitEvent(c.events)
	}, err
}

// awaitEvent is when the event arrived, which may be before the reply did.
func awaitEvent(events <-chan time.Time) (time.Time, error) {
	select {
	case at := <-events:
		return at, nil
	case <-time.After(requestTimeout):
		return time.Time{}, errors.New("no event came")
	}
}

func (c *natsClient) fill(user int, keys []int, w *workload) error {
	if w.instances {
		_, err := register(c.conn(user), keys, instanceTTL)
		return err
	}
	request := appendBatch(make([]byte, 0, len(keys)*(valueSize+48)), len(keys))
	for _, key := range keys {
		request = appendBatchSet(request, w.keyName(key), w.value())
	}
	return askUntilTaken(c.conn(user), "batch.apply", request)
}

// askUntilTaken repeats a request while the store says that it is busy: loading
// goes faster than the stream of a durable feed takes it.
func askUntilTaken(conn *nats.Conn, subject string, request []byte) error {
	for {
		m, err := conn.Request(subject, request, requestTimeout)
		if err != nil {
			return fmt.Errorf("%s: %w", subject, err)
		}
		if code := m.Header.Get(errorCodeHeader); code != "503" && code != "429" {
			return refusal(m)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
