package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Methods of etcd's API, version 3.
const (
	etcdPut   = "/etcdserverpb.KV/Put"
	etcdRange = "/etcdserverpb.KV/Range"
	etcdTxn   = "/etcdserverpb.KV/Txn"
	etcdWatch = "/etcdserverpb.Watch/Watch"
)

// etcdClient speaks etcd's gRPC with messages encoded by hand. Reads are
// linearizable, as they are by default there and always in sett.
type etcdClient struct {
	conns  []*http2Conn
	events chan time.Time
}

func newEtcdClient(address string, conns int) (*etcdClient, error) {
	c := &etcdClient{}
	for range conns {
		conn, err := newHTTP2Conn(address)
		if err != nil {
			c.close()
			return nil, err
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

func (c *etcdClient) close() {
	for _, conn := range c.conns {
		conn.close()
	}
}

func (c *etcdClient) conn(user int) *http2Conn { return c.conns[user%len(c.conns)] }

// appendField appends a protobuf field of bytes.
func appendField(b []byte, number int, value []byte) []byte {
	return append(appendFieldHead(b, number, len(value)), value...)
}

func appendFieldHead(b []byte, number, length int) []byte {
	return binary.AppendUvarint(append(b, byte(number<<3|2)), uint64(length))
}

// appendPut appends a PutRequest.
func appendPut(b, key, value []byte) []byte {
	return appendField(appendField(b, 1, key), 2, value)
}

// appendTxnPut appends a put as a TxnRequest's op to be done on success; there
// are no conditions, so it always is.
func appendTxnPut(b, key, value []byte) []byte {
	put := fieldSize(len(key)) + fieldSize(len(value))
	b = appendFieldHead(b, 2, fieldSize(put))
	return appendPut(appendFieldHead(b, 2, put), key, value)
}

// fieldSize is the size of a field of n bytes with its head.
func fieldSize(n int) int {
	var length [binary.MaxVarintLen64]byte
	return 1 + binary.PutUvarint(length[:], uint64(n)) + n
}

func (c *etcdClient) probe() error {
	conn, to := c.conns[0], newCall()
	_, err := conn.ask(to, conn.headers(etcdRange), appendField(nil, 1, []byte("none")))
	return err
}

func (c *etcdClient) operation(user int, do action, w *workload) (operation, error) {
	conn, to := c.conn(user), newCall()
	var message []byte
	switch do {
	case actSet:
		headers := conn.headers(etcdPut)
		return func() (time.Time, error) {
			message = appendPut(message[:0], w.keyName(w.index()), w.value())
			_, err := conn.ask(to, headers, message)
			return time.Now(), err
		}, nil
	case actGet:
		headers := conn.headers(etcdRange)
		return func() (time.Time, error) {
			message = appendField(message[:0], 1, w.keyName(w.index()))
			return rangeOf(conn, to, headers, message, 1)
		}, nil
	case actBatch:
		headers := conn.headers(etcdTxn)
		return func() (time.Time, error) {
			message = appendTxn(message[:0], w.batch(), w)
			_, err := conn.ask(to, headers, message)
			return time.Now(), err
		}, nil
	case actList:
		headers := conn.headers(etcdRange)
		// The end of a range is the prefix with its last byte one higher.
		end := []byte(listPrefix)
		end[len(end)-1]++
		message = appendField(appendField(nil, 1, []byte(listPrefix)), 2, end)
		return func() (time.Time, error) { return rangeOf(conn, to, headers, message, listSize) }, nil
	case actEvent:
		return c.eventOperation(conn, w)
	}
	return nil, fmt.Errorf("etcd has no action %q", do)
}

func appendTxn(b []byte, keys []int, w *workload) []byte {
	for _, key := range keys {
		b = appendTxnPut(b, w.keyName(key), w.value())
	}
	return b
}

// rangeOf asks for a range and checks that it holds that many values.
func rangeOf(conn *http2Conn, to *call, headers, message []byte, want int) (time.Time, error) {
	reply, err := conn.ask(to, headers, message)
	if err != nil {
		return time.Time{}, err
	}
	found := 0
	err = protoFields(reply, func(number int, kv []byte) {
		if number != 2 { // of a RangeResponse: kvs
			return
		}
		protoFields(kv, func(number int, value []byte) {
			if number == 5 && len(value) == valueSize { // of a KeyValue: value
				found++
			}
		})
	})
	if err == nil && found != want {
		err = fmt.Errorf("a range had %d values, not %d", found, want)
	}
	return time.Now(), err
}

// protoFields calls f with each field of a protobuf message that holds bytes.
func protoFields(b []byte, f func(number int, value []byte)) error {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return errProtobuf
		}
		b = b[n:]
		value, n := binary.Uvarint(b)
		if n <= 0 {
			return errProtobuf
		}
		b = b[n:]
		switch tag & 7 {
		case 0: // a number
		case 2:
			if value > uint64(len(b)) {
				return errProtobuf
			}
			f(int(tag>>3), b[:value])
			b = b[value:]
		default:
			return errProtobuf
		}
	}
	return nil
}

var errProtobuf = errors.New("the reply is not the protobuf that was expected")

// eventOperation puts a key and waits for a watch on another connection.
func (c *etcdClient) eventOperation(conn *http2Conn, w *workload) (operation, error) {
	listener, err := newHTTP2Conn(conn.authority)
	if err != nil {
		return nil, err
	}
	c.conns = append(c.conns, listener)
	c.events = make(chan time.Time, 16)
	created := make(chan struct{})
	watch := newCall()
	watch.onReply = func(part []byte) {
		// The first reply says that the watch exists; each later one is an
		// event, since nothing else is written meanwhile.
		select {
		case <-created:
			c.events <- time.Now()
		default:
			close(created)
		}
	}
	// A WatchRequest with a create_request for all keys from the prefix on.
	create := appendField(appendField(nil, 1, []byte(keyPrefix)), 2, []byte{0})
	if err := listener.open(watch, listener.headers(etcdWatch), appendField(nil, 1, create), 0); err != nil {
		return nil, err
	}
	select {
	case <-created:
	case <-time.After(requestTimeout):
		return nil, errors.New("the watch was not created")
	}
	headers, to := conn.headers(etcdPut), newCall()
	var message []byte
	return func() (time.Time, error) {
		message = appendPut(message[:0], w.keyName(w.index()), w.value())
		if _, err := conn.ask(to, headers, message); err != nil {
			return time.Time{}, err
		}
		return awaitEvent(c.events)
	}, nil
}

func (c *etcdClient) fill(user int, keys []int, w *workload) error {
	conn := c.conn(user)
	_, err := conn.ask(newCall(), conn.headers(etcdTxn), appendTxn(nil, keys, w))
	return err
}
