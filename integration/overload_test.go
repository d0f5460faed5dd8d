package integration

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
)

// TestOverloaded lets far more commands wait than the queue takes: each is
// answered, some with overloaded, and exactly the others were applied.
func TestOverloaded(t *testing.T) {
	b := startBroker(t)
	p := join(t, b)
	nc := connect(t, b.url)
	var done, overloaded, others atomic.Int64
	inbox := nats.NewInbox()
	sub, err := nc.Subscribe(inbox, func(m *nats.Msg) {
		switch {
		case m.Header == nil:
			done.Add(1)
		case m.Header.Get("Nats-Service-Error-Code") == "429" && bytes.Contains(m.Data, []byte(`"temporary":true`)):
			overloaded.Add(1)
		default:
			others.Add(1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGSTOP)
	const burst = 150_000
	for range burst {
		if err := nc.PublishRequest("kv.increment", inbox, []byte(`{"key":"n"}`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGCONT)
	eventually(t, patience, func() error {
		if n := done.Load() + overloaded.Load() + others.Load(); n != burst {
			return fmt.Errorf("%d of %d requests were answered (%d applied, %d overloaded)", n, burst, done.Load(), overloaded.Load())
		}
		return nil
	})
	t.Logf("%d applied, %d overloaded", done.Load(), overloaded.Load())
	if overloaded.Load() == 0 || others.Load() > 0 {
		t.Errorf("%d requests were refused as overloaded, %d otherwise", overloaded.Load(), others.Load())
	}
	if value, _, _ := get(t, nc, "n"); value != fmt.Sprint(done.Load()) {
		t.Errorf("%d increments were acknowledged, the number is %s", done.Load(), value)
	}
}
