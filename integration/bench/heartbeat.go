package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/vmihailenco/msgpack/v5"
)

const (
	heartbeatInstances = 1000
	// instanceTTL is long enough to register all of them before the first ends.
	instanceTTL = 30 * time.Second
	// oneName is how many of many instances have the same name; the others have
	// one for each thousand.
	oneName = 10_000
)

// instanceName and instanceID are those of an instance by its number, from 1.
func instanceName(n int) string {
	if n <= oneName {
		return "web"
	}
	return fmt.Sprintf("service-%03d", n/1000)
}

func instanceID(n int) string {
	return fmt.Sprintf("10.%d.%d.%d:8080", n>>16&255, n>>8&255, n&255)
}

// appendRegister appends one op of a batch: an instance as a deployment has it.
func appendRegister(b []byte, n int, ttl time.Duration) []byte {
	id := instanceID(n)
	b = append(b, "\x88\xa2op\xacsvc.register\xa4name"...)
	b = appendStr(b, []byte(instanceName(n)))
	b = appendStr(append(b, "\xa2id"...), []byte(id))
	b = appendStr(append(b, "\xa7address"...), []byte(id[:len(id)-len(":8080")]))
	b = append(b, "\xa4port\xcd\x1f\x90\xa4tags\x92\xa2v2\xa5zoneb\xa4meta\x81\xa7version\xa51.4.2\xa6ttl_ms\xce"...)
	return binary.BigEndian.AppendUint32(b, uint32(ttl.Milliseconds()))
}

// appendHeartbeat appends the request of svc.heartbeat.
func appendHeartbeat(b []byte, n int) []byte {
	b = appendStr(append(b, "\x82\xa4name"...), []byte(instanceName(n)))
	return appendStr(append(b, "\xa2id"...), []byte(instanceID(n)))
}

// deadlines is what a batch of writes replies, as far as it matters here.
type deadlines struct {
	Results []struct {
		ExpiresAtMs int64 `msgpack:"expires_at_ms"`
	} `msgpack:"results"`
}

// register registers instances, or renews them, and returns their deadlines.
// An echo has none.
func register(conn *nats.Conn, numbers []int, ttl time.Duration) (d deadlines, err error) {
	request := appendBatch(make([]byte, 0, len(numbers)*160), len(numbers))
	for _, n := range numbers {
		request = appendRegister(request, n, ttl)
	}
	m, err := ask(conn, "batch.apply", request)
	if err == nil && m.Data[0] != 'a' { // the echo's answer is no map
		err = msgpack.Unmarshal(m.Data, &d)
	}
	return d, err
}

// heartbeatOperation heartbeats any of the instances again and again. The first
// user, who is prepared before the others, registers them all.
func heartbeatOperation(conn *nats.Conn, user int, w *workload) (operation, error) {
	if user == 0 {
		all := make([]int, heartbeatInstances)
		for i := range all {
			all[i] = i + 1
		}
		if _, err := register(conn, all, time.Hour); err != nil {
			return nil, err
		}
	}
	var request []byte
	return func() (time.Time, error) {
		request = appendHeartbeat(request[:0], 1+w.rng.IntN(heartbeatInstances))
		_, err := ask(conn, "svc.heartbeat", request)
		return time.Now(), err
	}, nil
}
