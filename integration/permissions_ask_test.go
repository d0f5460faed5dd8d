package integration

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
)

// tenant is one user's connection that remembers all that it was told.
type tenant struct {
	t    *testing.T
	name string
	nc   *nats.Conn

	mu   sync.Mutex
	told strings.Builder
}

func (g *guarded) tenant(name string) *tenant {
	return &tenant{t: g.t, name: name, nc: g.as(name)}
}

// Outcomes of an attempt, beside the codes of the store's errors.
const (
	allowed = "yes"
	refused = "–" // by the NATS server
	nobody  = "nobody answers"
)

// hear keeps what came.
func (u *tenant) hear(m *nats.Msg) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.told.WriteString(m.Subject + " ")
	u.told.Write(m.Data)
	u.told.WriteString("\n")
}

// heard is all that came so far.
func (u *tenant) heard() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.told.String()
}

// denied runs something on the connection and says whether the NATS server
// refused it: it says so before its next pong.
func (u *tenant) denied(f func() error) bool {
	u.t.Helper()
	before := u.nc.LastError()
	if err := errors.Join(f(), u.nc.FlushTimeout(patience)); err != nil {
		u.t.Fatalf("%s: %v", u.name, err)
	}
	err := u.nc.LastError()
	if err == before {
		return false
	}
	if !errors.Is(err, nats.ErrPermissionViolation) {
		u.t.Fatalf("%s: %v", u.name, err)
	}
	return true
}

// ask makes a request and returns what became of it, and the answer.
func (u *tenant) ask(subject, payload string) (outcome string, answer []byte) {
	u.t.Helper()
	sub, err := u.nc.SubscribeSync(u.nc.NewInbox())
	if err != nil {
		u.t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails where the connection is closed
	if u.denied(func() error { return u.nc.PublishRequest(subject, sub.Subject, []byte(payload)) }) {
		return refused, nil
	}
	m, err := sub.NextMsg(patience)
	if err != nil {
		u.t.Fatalf("%s: %s %s: %v", u.name, subject, payload, err)
	}
	u.hear(m)
	if m.Header.Get("Status") == "503" {
		return nobody, nil
	}
	fields, err := decode(m.Data)
	if err != nil {
		return "cannot be read: " + string(m.Data), m.Data
	}
	if code, ok := fields["code"].(string); ok {
		return code, m.Data
	}
	if _, refuses := fields["error"]; refuses { // JetStream
		return "invalid", m.Data
	}
	return allowed, m.Data
}

// must is ask that has to be allowed; it returns the answer's fields.
func (u *tenant) must(subject, payload string) obj {
	u.t.Helper()
	outcome, answer := u.ask(subject, payload)
	if outcome != allowed {
		u.t.Fatalf("%s: %s %s: %s: %s", u.name, subject, payload, outcome, answer)
	}
	fields, err := decode(answer)
	if err != nil {
		u.t.Fatal(err)
	}
	return fields
}

// follow subscribes for the rest of the test, and says whether it may.
func (u *tenant) follow(subject string) string {
	u.t.Helper()
	var err error
	if u.denied(func() error { _, err = u.nc.Subscribe(subject, u.hear); return err }) {
		return refused
	}
	return allowed
}
