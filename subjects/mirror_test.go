package subjects_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/settkv/sett/subjects"
)

// mirror is a consumer that keeps what it is told, and complains where it is
// told something twice, or what it cannot have.
type mirror struct {
	t    rapid.TB
	next func() (subjects.Update, error, bool)
	stop func()
	keys map[string]subjects.Update
	told []string // since the last time that someone looked
	full bool     // everything was loaded
}

// within is for follows that must tell what is expected in time.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	t.Cleanup(cancel)
	return ctx
}

func follow(t rapid.TB, updates iter.Seq2[subjects.Update, error]) *mirror {
	m := &mirror{t: t, keys: make(map[string]subjects.Update)}
	m.next, m.stop = iter.Pull2(updates)
	return m
}

// step takes one update.
func (m *mirror) step() subjects.Update {
	m.t.Helper()
	u, err, ok := m.next()
	if err != nil || !ok {
		m.t.Fatalf("the follow ended: %v, after %q", err, m.told)
	}
	name := u.Key
	if u.Key == "" {
		name = u.ID
	}
	have, held := m.keys[name]
	switch u.Kind {
	case subjects.Put:
		m.told = append(m.told, "put "+name)
		if held && have.Epoch == u.Epoch && have.Revision >= u.Revision {
			m.t.Fatalf("%s: told revision %d after %d", name, u.Revision, have.Revision)
		}
		if u.Value == nil && u.Instance == nil {
			m.t.Fatalf("%s: a put of nothing", name)
		}
		m.keys[name] = u
	case subjects.Delete:
		m.told = append(m.told, u.Op+" "+name)
		if !held || have.Epoch == u.Epoch && have.Revision >= u.Revision {
			m.t.Fatalf("%s: a delete of revision %d after %d", name, u.Revision, have.Revision)
		}
		delete(m.keys, name)
	case subjects.Reset:
		m.full = false
		m.told = append(m.told, "reset "+u.Reason)
	case subjects.Loaded:
		m.full = true
		m.told = append(m.told, "loaded")
	default:
		m.t.Fatalf("an update of no kind: %+v", u)
	}
	return u
}

// until steps up to an update and returns all that was told, that included.
func (m *mirror) until(last string) []string {
	m.t.Helper()
	for {
		m.step()
		if m.told[len(m.told)-1] == last {
			told := m.told
			m.told = nil
			return told
		}
	}
}

func (m *mirror) expect(last string, want ...string) {
	m.t.Helper()
	if told := m.until(last); !slices.Equal(told, append(want, last)) {
		m.t.Fatalf("told %q, want %q", told, append(want, last))
	}
}

// caughtUp steps until it has everything up to a last key.
func (m *mirror) caughtUp(last string) {
	m.t.Helper()
	for _, held := m.keys[last]; !held || !m.full; _, held = m.keys[last] {
		m.step()
	}
}

// holds checks what the mirror has.
func (m *mirror) holds(want map[string]string) {
	m.t.Helper()
	got := make(map[string]string)
	for key, u := range m.keys {
		got[key] = string(u.Value)
	}
	if !maps.Equal(got, want) {
		m.t.Fatalf("it holds %v, the store %v", got, want)
	}
}

// end expects the follow to end with an error.
func (m *mirror) end(want error) {
	m.t.Helper()
	for {
		_, err, ok := m.next()
		if !ok {
			m.t.Fatal("it ended without an error")
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, want) {
			m.t.Fatalf("it ended with %v, want %v", err, want)
		}
		if _, _, ok := m.next(); ok {
			m.t.Fatal("something came after the error")
		}
		return
	}
}
