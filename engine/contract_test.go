package engine

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

func TestTheNamedMethodsOfKeys(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		if err := h.Set("a", []byte("1")); err != nil {
			t.Fatal(err)
		}
		value := []byte("2")
		if err := h.Set("b", value); err != nil {
			t.Fatal(err)
		}
		value[0] = 'x' // the caller's again
		got, err := h.Get("b")
		if err != nil || string(got) != "2" {
			t.Fatalf("%q %v", got, err)
		}
		got[0] = 'y'
		if h.get("b") != "2" {
			t.Error("what Get returned was the store's own")
		}
		if err := h.Set("empty", nil); err != nil {
			t.Fatal(err)
		}
		if got, err := h.Get("empty"); err != nil || got == nil || len(got) != 0 {
			t.Errorf("%v %v", got, err)
		}
		if keys, err := h.List(""); err != nil || !slices.Equal(keys, []string{"a", "b", "empty"}) {
			t.Errorf("%q %v", keys, err)
		}
		if keys, err := h.List("x"); err != nil || keys == nil || len(keys) != 0 {
			t.Errorf("%q %v", keys, err)
		}
		for range 2 {
			if err := h.Delete("a"); err != nil {
				t.Fatal(err)
			}
		}
		_, err = h.Get("a")
		wantCode(t, err, codec.NotFound, "Get")
		for name, err := range map[string]error{
			"Get":    func() error { _, err := h.Get(""); return err }(),
			"Set":    h.Set("\x00", nil),
			"Delete": h.Delete(""),
			"List":   func() error { _, err := h.List("\xff"); return err }(),
		} {
			wantCode(t, err, codec.Invalid, name)
		}
		wantCode(t, h.Set("a", make([]byte, codec.MaxValue+1)), codec.TooLarge, "Set")
	})
}

func TestListReturnsAllPages(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		const n = codec.MaxPage + 500
		for i := 0; i < n; i += 500 {
			batch := &codec.Batch{}
			for k := range 500 {
				batch.Ops = append(batch.Ops, &codec.Set{Key: fmt.Sprintf("k%06d", i+k), Value: []byte{}})
			}
			h.do(batch)
		}
		keys, err := h.List("k")
		if err != nil || len(keys) != n || !slices.IsSorted(keys) {
			t.Errorf("%d keys, want %d: %v", len(keys), n, err)
		}
	})
}

func TestTheNamedMethodsOfServices(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		_, err := h.GetService("web")
		wantCode(t, err, codec.NotFound, "GetService")
		data := bytes.Repeat([]byte{0xff}, codec.MaxValue)
		if err := h.SetService("web", data, time.Second); err != nil {
			t.Fatal(err)
		}
		if got, err := h.GetService("web"); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if err := h.SetService("api", nil, 0); err != nil {
			t.Fatal(err)
		}
		if got, err := h.GetService("api"); err != nil || len(got) != 0 {
			t.Errorf("%q %v", got, err)
		}
		if names, err := h.ListServices(); err != nil || !slices.Equal(names, []string{"api", "web"}) {
			t.Errorf("%q %v", names, err)
		}
		// Announced and seen as any instance, without its data.
		for _, c := range h.changes() {
			if c.Op != codec.OpRegister || c.Instance.ID != c.Name || c.Value != nil {
				t.Errorf("%s", text(&c))
			}
		}
		// The same again renews and announces nothing.
		h.time.advance(900 * time.Millisecond)
		if err := h.SetService("web", data, time.Second); err != nil {
			t.Fatal(err)
		}
		// A heartbeat keeps the data.
		h.do(&codec.Heartbeat{Name: "web", ID: "web", Status: "warning"})
		if h.options.Kind == Badger {
			h.reopen()
		}
		h.time.advance(999 * time.Millisecond)
		if got, err := h.GetService("web"); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if c := h.changes(); len(c) != 1 {
			t.Errorf("%d changes, want the heartbeat's", len(c))
		}
		h.time.advance(time.Millisecond)
		_, err = h.GetService("web")
		wantCode(t, err, codec.NotFound, "GetService at the deadline")

		wantCode(t, h.SetService("a/b", nil, 0), codec.Invalid, "SetService")
		wantCode(t, h.SetService("a", nil, -1), codec.Invalid, "SetService")
		wantCode(t, h.SetService("a", nil, time.Millisecond), codec.Invalid, "SetService")
		wantCode(t, h.SetService("a", make([]byte, codec.MaxValue+1), 0), codec.TooLarge, "SetService")
		wantCode(t, h.DeleteService(""), codec.Invalid, "DeleteService")
		_, err = h.GetService("")
		wantCode(t, err, codec.Invalid, "GetService")
	})
}

func TestDeleteServiceRemovesAllInstances(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		const n = 2*codec.MaxOps + 10
		for i := range n {
			h.do(&codec.Register{Name: "web", ID: fmt.Sprint(i)})
		}
		h.do(&codec.Register{Name: "web", ID: "dead", TTLMs: 10})
		h.do(&codec.Register{Name: "web-2", ID: "1"})
		h.time.advance(10 * time.Millisecond)
		h.changes()
		if err := h.DeleteService("web"); err != nil {
			t.Fatal(err)
		}
		expired := 0
		for _, c := range h.changes() {
			if c.Op == codec.OpExpire && c.ID == "dead" {
				expired++
			} else if c.Op != codec.OpDeregister {
				t.Fatalf("%s", text(&c))
			}
		}
		if expired != 1 {
			t.Errorf("the dead instance expired %d times", expired)
		}
		if names, err := h.ListServices(); err != nil || !slices.Equal(names, []string{"web-2"}) {
			t.Errorf("%q %v", names, err)
		}
		if err := h.DeleteService("web"); err != nil {
			t.Errorf("deleting what is not there: %v", err)
		}
	})
}

func TestTheNamedMethodsOfBatches(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		if err := h.BatchSet(map[string][]byte{"b": []byte("2"), "a": []byte("1"), "c": nil}); err != nil {
			t.Fatal(err)
		}
		keys := ""
		for _, c := range h.changes() {
			if keys += c.Key; c.CommitRevision != 3 {
				t.Errorf("%s", text(&c))
			}
		}
		if keys != "abc" {
			t.Errorf("announced in the order %s", keys)
		}
		wantCode(t, h.BatchSet(map[string][]byte{"d": nil, "": nil}), codec.Invalid, "BatchSet")
		if err := h.BatchDelete([]string{"a", "c", "none"}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, h.BatchDelete([]string{"b", "\x01"}), codec.Invalid, "BatchDelete")
		if err := h.BatchSet(nil); err != nil {
			t.Errorf("BatchSet of nothing: %v", err)
		}
		if err := h.BatchDelete(nil); err != nil {
			t.Errorf("BatchDelete of nothing: %v", err)
		}
		if got, err := h.List(""); err != nil || !slices.Equal(got, []string{"b"}) {
			t.Errorf("%q %v", got, err)
		}
		many := map[string][]byte{}
		for i := range codec.MaxOps + 1 {
			many[fmt.Sprint(i)] = nil
		}
		wantCode(t, h.BatchSet(many), codec.TooLarge, "BatchSet")
	})
}

func TestATransactionSeesItsWritesAndCommitsIfNothingChanged(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.set("a", "1")
		h.set("b", "1")
		begin := func() Transaction {
			tx, err := h.BeginTx()
			if err != nil {
				t.Fatal(err)
			}
			return tx
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		want := func(tx Transaction, key, value string) {
			t.Helper()
			got, err := tx.Get(key)
			if value == "" {
				wantCode(t, err, codec.NotFound, key)
			} else if err != nil || string(got) != value {
				t.Fatalf("%s is %q, %v, want %q", key, got, err, value)
			}
		}

		tx := begin()
		want(tx, "a", "1")
		must(tx.Set("a", []byte("2")))
		want(tx, "a", "2")
		must(tx.Delete("b"))
		want(tx, "b", "")
		must(tx.Set("b", []byte("3")))
		must(tx.Set("c", []byte("4")))
		if h.get("a") != "1" {
			t.Error("a write was seen before Commit")
		}
		must(tx.Commit())
		must(tx.Rollback())
		if h.get("a")+h.get("b")+h.get("c") != "234" {
			t.Error("not committed")
		}
		if c := h.changes(); len(c) != 5 || c[2].CommitRevision != 5 {
			t.Errorf("%+v", c)
		}
		wantCode(t, tx.Commit(), codec.Invalid, "a second Commit")
		wantCode(t, tx.Set("a", nil), codec.Invalid, "Set after the end")
		_, err := tx.Get("a")
		wantCode(t, err, codec.Invalid, "Get after the end")

		tx = begin()
		must(tx.Set("a", []byte("never")))
		must(tx.Rollback())
		wantCode(t, tx.Commit(), codec.Invalid, "Commit after Rollback")

		tx, other := begin(), begin()
		want(tx, "a", "2")
		want(tx, "none", "")
		must(other.Set("a", []byte("5")))
		must(other.Commit())
		must(tx.Set("d", []byte("1")))
		e := wantCode(t, tx.Commit(), codec.Conflict, "what was read has changed")
		if e.Key != "a" || e.Revision == nil || *e.Revision != 6 {
			t.Errorf("%+v", e)
		}
		tx = begin()
		want(tx, "none", "")
		h.set("none", "1")
		must(tx.Set("d", []byte("1")))
		wantCode(t, tx.Commit(), codec.Conflict, "what was absent is there")

		tx = begin() // writes without reads do not conflict
		h.set("a", "6")
		must(tx.Set("a", []byte("7")))
		must(tx.Commit())
		if h.get("a") != "7" {
			t.Error("not committed")
		}
		tx = begin()
		want(tx, "a", "7")
		must(tx.Commit()) // reads only

		h.do(&codec.Set{Key: "ttl", Value: []byte("1"), TTLMs: 10})
		tx = begin()
		want(tx, "ttl", "1")
		h.time.advance(10 * time.Millisecond)
		must(tx.Set("d", []byte("1")))
		wantCode(t, tx.Commit(), codec.Conflict, "what was read has expired")
		wantCode(t, begin().Set("", nil), codec.Invalid, "Set")
		_, err = begin().Get("")
		wantCode(t, err, codec.Invalid, "Get")
	})
}

// TestATransactionReadsOneState, or says that it cannot any more, also where
// values are read from the disk.
func TestATransactionReadsOneState(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.set("a", "1")
		h.set("b", "1")
		tx, err := h.BeginTx()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tx.Get("a"); err != nil || string(got) != "1" {
			t.Fatalf("%q %v", got, err)
		}
		for i := range 3 {
			h.set("b", fmt.Sprint(i+2))
		}
		got, err := tx.Get("b")
		if err == nil && string(got) != "1" {
			t.Errorf("b is %q, the transaction began with 1", got)
		}
		if err != nil {
			wantCode(t, err, codec.Conflict, "a value that is gone")
		}
		_ = tx.Rollback()
	}, func(o *Options) { o.CacheBytes = -1 })
}
