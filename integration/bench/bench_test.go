package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"
)

func decode(t *testing.T, b []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := msgpack.Unmarshal(b, &m); err != nil {
		t.Fatalf("%x: %v", b, err)
	}
	return m
}

// TestRequests reads the requests that are written by hand with the library.
func TestRequests(t *testing.T) {
	w := newWorkload(0, keyCount, keyDigits, newRandomPool())
	value := w.value()
	m := decode(t, appendSet(nil, w.keyName(42), value))
	if m["key"] != "bench/000042" || !bytes.Equal(m["value"].([]byte), value) || len(m) != 2 {
		t.Errorf("kv.set: %v", m)
	}
	if m = decode(t, appendGet(nil, w.keyName(keyCount))); m["key"] != "bench/100000" || len(m) != 1 {
		t.Errorf("kv.get: %v", m)
	}
	batch := appendBatch(nil, batchSize)
	seen := map[int]bool{}
	for _, key := range w.batch() {
		if key < 1 || key > keyCount || seen[key] {
			t.Fatalf("key %d is out of range or there twice", key)
		}
		seen[key] = true
		batch = appendBatchSet(batch, w.keyName(key), value)
	}
	ops := decode(t, batch)["ops"].([]any)
	if op := ops[batchSize-1].(map[string]any); len(ops) != batchSize || op["op"] != "kv.set" || len(op) != 3 {
		t.Errorf("batch.apply: %d ops, the last is %v", len(ops), op)
	}
	m = decode(t, appendList(nil, []byte("\xa3abc")))
	if m["prefix"] != listPrefix || fmt.Sprint(m["limit"]) != "1000" || m["return_values"] != true || m["cursor"] != "abc" {
		t.Errorf("kv.list: %v", m)
	}
}

// TestReadPage walks over replies as the library writes them.
func TestReadPage(t *testing.T) {
	entry := map[string]any{
		"key": "k", "value": make([]byte, valueSize), "revision": uint64(math.MaxUint64), "ttl_ms": -70000,
		"more": []any{nil, true, 1.5, float32(2.5), map[string]any{"a": make([]byte, 70_000)}},
	}
	for _, next := range []any{nil, "", "a cursor", []byte{1, 2, 3}} {
		reply, err := msgpack.Marshal(map[string]any{"entries": []any{entry, entry}, "next": next, "epoch": 1})
		if err != nil {
			t.Fatal(err)
		}
		entries, cursor, err := readPage(reply)
		if err != nil || entries != 2 {
			t.Errorf("%v: %d entries, %v", next, entries, err)
		}
		if want := next != nil && next != ""; want != (len(cursor) > 0) {
			t.Errorf("%v: the cursor is %x", next, cursor)
		}
		for cut := range reply[:len(reply)-1] {
			if _, _, err := readPage(reply[:cut]); err == nil {
				t.Fatalf("no error for the first %d bytes of %d", cut, len(reply))
			}
			if cut > 300 { // the rest is one long value
				break
			}
		}
	}
}

func TestTxnPut(t *testing.T) {
	value := make([]byte, valueSize)
	path := []int{}
	var walk func(depth int) func(int, []byte)
	walk = func(depth int) func(int, []byte) {
		return func(number int, field []byte) {
			path = append(path, number)
			if depth < 2 {
				if err := protoFields(field, walk(depth+1)); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if err := protoFields(appendTxnPut(nil, []byte("key"), value), walk(0)); err != nil {
		t.Fatal(err)
	}
	// TxnRequest.success, RequestOp.request_put, PutRequest.key and value.
	if fmt.Sprint(path) != "[2 2 1 2]" {
		t.Errorf("the fields are %v", path)
	}
	if size := len(appendTxn(nil, newWorkload(0, keyCount, keyDigits, newRandomPool()).batch(), newWorkload(0, keyCount, keyDigits, newRandomPool()))); size > maxFrame-grpcPrefix {
		t.Errorf("a transaction of %d bytes does not fit into one frame", size)
	}
}

func TestHistogram(t *testing.T) {
	var h, sum histogram
	for i := 1; i <= 10_000; i++ {
		h.record(time.Duration(i) * time.Microsecond)
	}
	sum.add(&h)
	for _, p := range []float64{0.01, 0.5, 0.99} {
		got, want := float64(sum.percentile(p)), p*1e7
		if math.Abs(got-want) > 0.04*want {
			t.Errorf("percentile %v is %v, not %v", p, got, want)
		}
	}
	for shift := range 63 {
		d := time.Duration(1) << shift
		if middle := middleOf(bucketOf(uint64(d))); middle < d || float64(middle) > 1.04*float64(d) {
			t.Errorf("%d is counted as %d", d, middle)
		}
	}
	h.record(math.MaxInt64)
}

func TestRatio(t *testing.T) {
	row := &result{rounds: []sample{{loadResult: loadResult{Rate: 10}}, {loadResult: loadResult{Rate: 30}}, {loadResult: loadResult{Rate: 8}}}}
	base := &result{rounds: []sample{{loadResult: loadResult{Rate: 20}}, {loadResult: loadResult{Rate: 20}}, {loadResult: loadResult{Rate: 10}}}}
	if got, ok := ratio(row, base); !ok || got != (spread{0.8, 0.5, 1.5}) {
		t.Errorf("%v %v", got, ok)
	}
	if _, ok := ratio(row, &result{NotMeasured: "absent"}); ok {
		t.Error("a ratio to what was not measured")
	}
	if got := spreadOf([]float64{4, 1, 2, 3}); got.Median != 2.5 {
		t.Errorf("the median of four is %v", got.Median)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		least, goal, measured float64
		want                  string
	}{
		{0.5, 0, 0.5, met}, {0.5, 0, 0.49, notMet}, {0.5, 0.7, 0.6, met}, {0.5, 0.7, 0.7, goalReached},
		{0, 1, 0.9, goalAhead}, {0, 1, 1.1, goalReached},
	} {
		v := verdict{Least: c.least, Goal: c.goal}.judge(spread{Median: c.measured}, true)
		if v.Status != c.want {
			t.Errorf("%v: %s", c, v.Status)
		}
	}
}

// TestTables checks what refers to each other by name.
func TestTables(t *testing.T) {
	byName := map[string]scenario{scenarioAgain: {}}
	for _, sc := range scenarios {
		byName[sc.name] = sc
		for _, row := range sc.rows {
			if _, ok := systemNamed(row); !ok {
				t.Errorf("%s: no system %q", sc.name, row)
			}
		}
	}
	for _, g := range targets {
		sc, ok := byName[g.scenario]
		_, row := systemNamed(g.row)
		_, base := systemNamed(g.base)
		if !ok || !row || !base {
			t.Errorf("a target names what there is not: %+v", g)
		}
		found := false
		for _, n := range sc.clients {
			found = found || n == g.clients
		}
		if !found {
			t.Errorf("%s is never measured with %d clients", g.scenario, g.clients)
		}
	}
}

// TestHeaders reads the request's header block back, literal by literal.
func TestHeaders(t *testing.T) {
	c := &http2Conn{authority: "127.0.0.1:2379"}
	b := c.headers(etcdPut)
	for _, want := range []string{etcdPut, c.authority, "application/grpc", "te", "trailers"} {
		if !bytes.Contains(b, append([]byte{byte(len(want))}, want...)) {
			t.Errorf("%q is missing in %q", want, b)
		}
	}
	frame := appendFrame(nil, frameData, flagEndStream, 7, 0x010203)
	if !bytes.Equal(frame[:5], []byte{1, 2, 3, 0, 1}) || binary.BigEndian.Uint32(frame[5:]) != 7 {
		t.Errorf("a frame's head is %x", frame)
	}
}

// TestInstanceRequests reads the requests of services with the library.
func TestInstanceRequests(t *testing.T) {
	ids := map[string]bool{}
	for _, n := range []int{1, 255, oneName, oneName + 1, manyInstances} {
		op := decode(t, appendRegister(nil, n, instanceTTL))
		if op["op"] != "svc.register" || op["name"] != instanceName(n) || op["id"] != instanceID(n) || op["address"].(string)+":8080" != op["id"] ||
			fmt.Sprint(op["port"]) != "8080" || fmt.Sprint(op["ttl_ms"]) != "30000" || len(op["tags"].([]any)) != 2 || len(op["meta"].(map[string]any)) != 1 {
			t.Errorf("instance %d: %v", n, op)
		}
		m := decode(t, appendHeartbeat(nil, n))
		if m["name"] != op["name"] || m["id"] != op["id"] || len(m) != 2 || ids[m["id"].(string)] {
			t.Errorf("heartbeat of %d: %v", n, m)
		}
		ids[m["id"].(string)] = true
	}
}

// TestLateness: what came early, late, twice or not at all is counted so.
func TestLateness(t *testing.T) {
	w := &endWatch{arrived: make([]atomic.Int64, 4)}
	for i, ms := range []int64{1010, 1999, 3100} { // the fourth never came
		w.arrived[i].Store(ms * 1e6)
	}
	w.wrong.Store(2)
	got := w.lateness([]int64{1000, 2000, 3000, 4000})
	if want := (lateness{Expected: 4, Announced: 3, Early: 1, Wrong: 2, P50Ms: 10, P99Ms: 10, MaxMs: 100}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}
