package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	bucket = "bench"

	// What jetstream.KeyValue sends for a put and a get, without its client's
	// own cost: the requests are plain ones, as those to sett are.
	putPrefix = "$KV." + bucket + "."
	getPrefix = "$JS.API.DIRECT.GET.KV_" + bucket + "." + putPrefix
)

// jetStreamClient speaks JetStream KV. A key bench/050123 is bench.050.123
// there, so that its list can be a filter on a subject: the only ordered range
// that JetStream has.
type jetStreamClient struct {
	conns  []*nats.Conn
	events chan time.Time
}

func newJetStreamClient(address string, conns int) (*jetStreamClient, error) {
	dialled, err := dialNATS(address, conns)
	return &jetStreamClient{conns: dialled}, err
}

// createBucket makes the bucket of the workload.
func createBucket(address string) error {
	conns, err := dialNATS(address, 1)
	if err != nil {
		return err
	}
	defer closeAll(conns)
	js, err := jetstream.New(conns[0])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	_, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: bucket, Storage: jetstream.FileStorage, Replicas: 1, History: 1,
	})
	return err
}

func (c *jetStreamClient) close() { closeAll(c.conns) }

func (c *jetStreamClient) conn(user int) *nats.Conn { return c.conns[user%len(c.conns)] }

func (c *jetStreamClient) probe() error {
	m, err := c.conns[0].Request("$JS.API.INFO", nil, requestTimeout)
	if err == nil && bytes.Contains(m.Data, []byte(`"error"`)) {
		err = fmt.Errorf("JetStream: %s", m.Data)
	}
	return err
}

// subjectOf appends the subject of a key's number to a prefix.
func subjectOf(prefix string, key int) string {
	b := make([]byte, 0, 80)
	b = append(b, prefix...)
	b = appendDigits(append(b, "bench."...), key/1000, 3)
	b = appendDigits(append(b, '.'), key%1000, 3)
	return string(b)
}

// put is jetstream.KeyValue.Put: a publish that waits for the stream's
// acknowledgement.
func put(conn *nats.Conn, key int, value []byte) error {
	m, err := conn.Request(subjectOf(putPrefix, key), value, requestTimeout)
	if err == nil && !bytes.HasPrefix(m.Data, []byte(`{"stream":"KV_`)) {
		err = fmt.Errorf("put: refused: %s", m.Data)
	}
	return err
}

// get is jetstream.KeyValue.Get: a direct get of the subject's last message.
func get(conn *nats.Conn, key int) error {
	m, err := conn.Request(subjectOf(getPrefix, key), nil, requestTimeout)
	if err == nil && len(m.Data) != valueSize {
		err = fmt.Errorf("get: %s %s", m.Header.Get("Status"), m.Header.Get("Description"))
	}
	return err
}

func (c *jetStreamClient) operation(user int, do action, w *workload) (operation, error) {
	conn := c.conn(user)
	switch do {
	case actSet:
		return func() (time.Time, error) {
			err := put(conn, w.index(), w.value())
			return time.Now(), err
		}, nil
	case actGet:
		return func() (time.Time, error) {
			err := get(conn, w.index())
			return time.Now(), err
		}, nil
	case actList:
		kv, err := openBucket(conn)
		return func() (time.Time, error) { return listWatch(kv) }, err
	case actEvent:
		return c.eventOperation(conn, w)
	}
	return nil, fmt.Errorf("JetStream KV has no action %q", do)
}

func openBucket(conn *nats.Conn) (jetstream.KeyValue, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	return js.KeyValue(ctx, bucket)
}

// listWatch reads keys and values as jetstream.KeyValue lists them: a watcher,
// which is an ordered consumer, up to the end of what is there.
func listWatch(kv jetstream.KeyValue) (time.Time, error) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	watcher, err := kv.Watch(ctx, fmt.Sprintf("bench.%03d.*", listFirst/1000), jetstream.IgnoreDeletes())
	if err != nil {
		return time.Time{}, err
	}
	defer watcher.Stop()
	for entries := 0; ; entries++ {
		select {
		case entry := <-watcher.Updates():
			if entry == nil {
				return time.Now(), expectListed(entries)
			}
			if len(entry.Value()) != valueSize {
				return time.Time{}, errors.New("a listed value has the wrong size")
			}
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// eventOperation puts a key and waits for a watcher on another connection. The
// watcher of nats.go is an ordered consumer over a plain subscription.
func (c *jetStreamClient) eventOperation(conn *nats.Conn, w *workload) (operation, error) {
	listener, err := nats.Connect(conn.ConnectedUrl(), nats.NoReconnect())
	if err != nil {
		return nil, err
	}
	c.conns = append(c.conns, listener)
	kv, err := openBucket(listener)
	if err != nil {
		return nil, err
	}
	watcher, err := kv.WatchAll(context.Background(), jetstream.UpdatesOnly())
	if err != nil {
		return nil, err
	}
	c.events = make(chan time.Time, 16)
	go func() { // ends with the listener's connection
		for entry := range watcher.Updates() {
			if entry != nil {
				c.events <- time.Now()
			}
		}
	}()
	return func() (time.Time, error) {
		if err := put(conn, w.index(), w.value()); err != nil {
			return time.Time{}, err
		}
		return awaitEvent(c.events)
	}, nil
}

// fill sends a batch of puts without waiting in between, as JetStream's
// asynchronous publishing does.
func (c *jetStreamClient) fill(user int, keys []int, w *workload) error {
	conn := c.conn(user)
	inbox := conn.NewInbox()
	acks, err := conn.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer acks.Unsubscribe()
	for _, key := range keys {
		if err := conn.PublishRequest(subjectOf(putPrefix, key), inbox, w.value()); err != nil {
			return err
		}
	}
	for range keys {
		m, err := acks.NextMsg(requestTimeout)
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(m.Data, []byte(`{"stream":"KV_`)) {
			return fmt.Errorf("put: refused: %s", m.Data)
		}
	}
	return nil
}
