package integration

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestCleanRestart keeps everything, and the feed goes on where it was: same
// epoch, next revision, nothing to announce.
func TestCleanRestart(t *testing.T) {
	p := serve(t)
	nc := p.connect()
	for i := range 50 {
		set(t, nc, fmt.Sprintf("k/%d", i), fmt.Sprint("v", i))
	}
	must(t, nc, "kv.delete", `{"key":"k/7"}`)
	must(t, nc, "kv.set", `{"key":"ttl","value":"1","ttl_ms":3600000}`)
	must(t, nc, "svc.register", `{"name":"web","id":"1","tags":["a"],"meta":{"k":"v"},"note":"n","status":"warning"}`)
	must(t, nc, "svc.register", `{"name":"web","id":"2","ttl_ms":3600000}`)
	reads := []struct{ subject, payload string }{
		{"kv.list", `{"return_values":true}`},
		{"kv.get", `{"key":"ttl"}`},
		{"svc.get", `{"name":"web","id":"1"}`},
		{"svc.list", ``},
	}
	var before []obj
	for _, r := range reads {
		before = append(before, must(t, nc, r.subject, r.payload))
	}
	id := must(t, nc, "store.status", "")["store_id"]
	p.stop()
	p = p.again()
	nc = p.connect()
	w := watch(t, nc)
	for i, r := range reads {
		if err := match(must(t, nc, r.subject, r.payload), before[i], nil); err != nil {
			t.Errorf("after the restart %s %s %v", r.subject, r.payload, err)
		}
	}
	if status := must(t, nc, "store.status", ""); status["store_id"] != id {
		t.Errorf("the store's id was %v and is %v", id, status["store_id"])
	}
	revision := before[0]["store_revision"].(int64)
	if next := set(t, nc, "next", "1"); next != revision+1 {
		t.Errorf("the next revision is %d after %d", next, revision)
	}
	w.upTo(revision + 1)
	if len(w.events) != 1 || w.events[0].Epoch != before[0]["epoch"].(int64) {
		t.Errorf("the feed after the restart: %v", w.events)
	}
	p.stop()
}

// TestInterrupt: SIGINT stops as cleanly as SIGTERM.
func TestInterrupt(t *testing.T) {
	p := serve(t)
	p.signal(syscall.SIGINT)
	if err := p.wait(); err != nil {
		t.Errorf("after SIGINT: %v", err)
	}
}

// TestMemoryEngine serves the same contract and keeps nothing.
func TestMemoryEngine(t *testing.T) {
	p := serve(t, "--engine", "memory")
	nc := p.connect()
	w := watch(t, nc)
	w.upTo(set(t, nc, "a", "1"))
	w.checkOrder(0)
	p.stop()
	p = p.again()
	if _, _, ok := get(t, p.connect(), "a"); ok {
		t.Error("a memory store has kept a key")
	}
}

// TestDataDirInUse: a directory belongs to one process.
func TestDataDirInUse(t *testing.T) {
	p := serve(t)
	dir := p.args[3]
	second := launch(t, "--listen", "127.0.0.1:0", "--data-dir", dir)
	if log := second.mustFail(); !strings.Contains(log, dir) {
		t.Errorf("the error does not name the directory: %s", log)
	}
	set(t, p.connect(), "a", "1")
}
