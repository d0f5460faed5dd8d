package subjects

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// bindings are the rules for what a subject carries. Each case is a whole
// subject, a payload in JSON, and the field that the refusal names, or what was
// understood.
var bindings = []struct{ subject, payload, want string }{
	// The key may be left out, and if it is given it must be the same.
	{"kv.get.config.host", ``, `{"key":"config/host"}`},
	{"kv.get.config.host", `{}`, `{"key":"config/host"}`},
	{"kv.get.config.host", `{"key":null}`, `{"key":"config/host"}`},
	{"kv.get.config.host", `{"key":"config/host"}`, `{"key":"config/host"}`},
	{"kv.get.config.host", `{"key":"config.host"}`, refused("key")},
	{"kv.get.config.host", `{"key":"config/hosts"}`, refused("key")},
	{"kv.get.config%2Ehost", ``, `{"key":"config.host"}`},
	{"kv.get", `{"key":"config/host"}`, `{"key":"config/host"}`},
	{"kv.get", ``, refused("key")},
	{"kv.get.%", ``, refused("key")},   // the empty key
	{"kv.get.%FF", ``, refused("key")}, // canonical, but not UTF-8
	{"kv.get.a%0Ab", ``, refused("key")},
	{"kv.set.a", `{"value":"1"}`, `{"key":"a","value":"1"}`},
	{"kv.set.a", `{"key":"b","value":"1"}`, refused("key")},
	{"kv.set.a", ``, refused("value")},
	{"kv.delete.a", ``, `{"key":"a"}`},
	{"kv.delete.a", `{"key":"b"}`, refused("key")},
	{"kv.touch.a", `{"ttl_ms":0}`, `{"key":"a","ttl_ms":0}`},
	{"kv.touch.a", `{"key":"a/"}`, refused("key")},
	{"kv.increment.a", ``, `{"key":"a","by":1}`},
	{"kv.increment.a", `{"key":"A"}`, refused("key")},

	// Tails that are not canonical.
	{"kv.get.config%2ehost", ``, refused("subject")},
	{"kv.get.c%6Fnfig", ``, refused("subject")},
	{"kv.get.config%2Fhost", ``, refused("subject")},
	{"kv.get.a*", ``, refused("subject")},
	{"kv.get.*", ``, refused("subject")},
	{"kv.get.>", ``, refused("subject")},
	{"kv.set.a%", `{"value":"1"}`, refused("subject")},
	{"kv.list.%2F", ``, refused("subject")},
	{"batch.apply.é", `{"ops":[{"op":"kv.delete","key":"é/a"}]}`, refused("subject")},

	// A prefix: nothing outside, and not the prefix's own key.
	{"kv.list.config", ``, `{"prefix":"config/","limit":1000}`},
	{"kv.list.config", `{"prefix":"config/"}`, `{"prefix":"config/","limit":1000}`},
	{"kv.list.config", `{"prefix":"config/db/","limit":5}`, `{"prefix":"config/db/","limit":5}`},
	{"kv.list.config", `{"prefix":"config"}`, refused("prefix")},
	{"kv.list.config", `{"prefix":"conf"}`, refused("prefix")},
	{"kv.list.config", `{"prefix":"other/"}`, refused("prefix")},
	{"kv.list.%", ``, `{"prefix":"/","limit":1000}`},
	{"kv.list", ``, `{"limit":1000}`},
	{"kv.clear.config", ``, `{"prefix":"config/","limit":1000}`},
	{"kv.clear.config", `{"prefix":"c"}`, refused("prefix")},
	{"kv.clear.config", `{"prefix":"config"}`, refused("prefix")},
	{"kv.clear", ``, refused("prefix")},
	{"batch.get.config", `{"keys":["config/a","config/b/c"]}`, `{"keys":["config/a","config/b/c"]}`},
	{"batch.get.config", `{"keys":["config/a","config"]}`, refused("keys[1].key")},
	{"batch.get.config", `{"keys":["configs/a"]}`, refused("keys[0].key")},
	{"batch.get.config", ``, refused("keys")},

	// A batch: its ops and its conditions, and keys only.
	{"batch.apply.config", `{"ops":[{"op":"kv.set","key":"config/a","value":"1"}],"if":[{"key":"config/b","revision":0}]}`,
		`{"ops":[{"op":"kv.set","key":"config/a","value":"1"}],"if":[{"key":"config/b","revision":0}]}`},
	{"batch.apply.config", `{"ops":[{"op":"kv.delete","key":"config/a"},{"op":"kv.delete","key":"other/a"}]}`, refused("ops[1].key")},
	{"batch.apply.config", `{"ops":[{"op":"kv.delete","key":"config"}]}`, refused("ops[0].key")},
	{"batch.apply.config", `{"ops":[{"op":"kv.touch","key":"x"}]}`, refused("ops[0].key")},
	{"batch.apply.config", `{"ops":[{"op":"kv.increment","key":"x"}]}`, refused("ops[0].key")},
	{"batch.apply.config", `{"ops":[{"op":"kv.delete","key":"config/a"}],"if":[{"key":"other/a","revision":1}]}`, refused("if[0].key")},
	{"batch.apply.config", `{"ops":[{"op":"kv.delete","key":"config/a"}],"if":[{"name":"web","id":"1","revision":1}]}`, refused("if[0].key")},
	{"batch.apply.config", `{"ops":[{"op":"svc.deregister","name":"config/","id":"1"}]}`, refused("ops[0].op")},
	{"batch.apply.config", `{"ops":[{"op":"svc.register","name":"web","id":"1"}]}`, refused("ops[0].op")},
	{"batch.apply.config", `{}`, refused("ops")},
	{"batch.apply", `{"ops":[{"op":"svc.deregister","name":"web","id":"1"}]}`, `{"ops":[{"op":"svc.deregister","name":"web","id":"1"}]}`},

	// A service's name is one token.
	{"svc.get.web", ``, `{"name":"web","statuses":["passing","warning"],"limit":1000}`},
	{"svc.get.web", `{"name":"db"}`, refused("name")},
	{"svc.get.web.api", ``, refused("name")},
	{"svc.get.web%2Eapi", ``, `{"name":"web.api","statuses":["passing","warning"],"limit":1000}`},
	{"svc.register.web", `{"id":"1"}`, `{"name":"web","id":"1","status":"passing"}`},
	{"svc.register.web", `{"name":"db","id":"1"}`, refused("name")},
	{"svc.heartbeat.web", `{"id":"1"}`, `{"name":"web","id":"1"}`},
	{"svc.heartbeat.web", `{"name":"w","id":"1"}`, refused("name")},
	{"svc.deregister.web", `{"id":"1"}`, `{"name":"web","id":"1"}`},
	{"svc.deregister.web", `{"name":"web/","id":"1"}`, refused("name")},

	// What takes nothing appended.
	{"svc.list.web", ``, refused("subject")},
	{"store.status.now", ``, refused("subject")},
	{"svc.list", `{"prefix":"w"}`, `{"prefix":"w","limit":1000}`},
	{"store.status", ``, `{}`},
}

func refused(field string) string { return "invalid " + field }

func TestBinding(t *testing.T) {
	for _, c := range bindings {
		if got := understood(t, c.subject, c.payload); got != c.want {
			t.Errorf("%s %s\n got %s\nwant %s", c.subject, c.payload, got, c.want)
		}
	}
}

// understood decodes a request as a server does, and tells what came of it.
func understood(t *testing.T, subject, payload string) string {
	t.Helper()
	info, tail := Parse(subject)
	if info == nil {
		t.Fatalf("%s is not of the contract", subject)
	}
	var req any
	var err error
	switch info {
	case KVGet.Info:
		req, _, err = KVGet.Decode(tail, []byte(payload))
	case KVList.Info:
		req, _, err = KVList.Decode(tail, []byte(payload))
	case BatchGet.Info:
		req, _, err = BatchGet.Decode(tail, []byte(payload))
	case SvcGet.Info:
		req, _, err = SvcGet.Decode(tail, []byte(payload))
	case SvcList.Info:
		req, _, err = SvcList.Decode(tail, []byte(payload))
	case StoreStatus.Info:
		req, _, err = StoreStatus.Decode(tail, []byte(payload))
	default:
		req, _, err = info.Command(tail, []byte(payload))
	}
	if err == nil {
		return string(codec.Append(nil, codec.JSON, req))
	}
	e, ok := err.(*codec.Error)
	if !ok {
		t.Fatalf("%s: %T is no *codec.Error", subject, err)
	}
	return string(e.Code) + " " + e.Field
}

func TestDecodeTellsTheEncoding(t *testing.T) {
	for _, c := range []struct {
		payload string
		enc     codec.Encoding
		ok      bool
	}{
		{`{"key":"a"}`, codec.JSON, true},
		{`{"key":"a","base64":true}`, codec.JSONBase64, true},
		{"\x81\xa3key\xa1a", codec.Msgpack, true},
		{`{"key":`, codec.JSON, false},
		{"", codec.JSON, false},
		{"\x81\xa3key\xa0", codec.Msgpack, false},
	} {
		if _, enc, err := KVGet.Decode("", []byte(c.payload)); enc != c.enc || (err == nil) != c.ok {
			t.Errorf("%q: %v, %v", c.payload, enc, err)
		}
	}
}

func TestBatchIsLimitedInBytes(t *testing.T) {
	var ops []codec.Command
	for range 2 {
		ops = append(ops, &codec.Set{Key: "a", Value: make([]byte, 500<<10)})
	}
	_, _, err := BatchApply.Info.Command("", codec.Append(nil, codec.Msgpack, &codec.Batch{Ops: ops}))
	if e, ok := errors.AsType[*codec.Error](err); !ok || e.Code != codec.TooLarge || e.Limit != codec.MaxBatch {
		t.Errorf("got %v", err)
	}
	if _, err = BatchApply.message("", "", "", &codec.Batch{Ops: ops}); !errors.Is(err, codec.ErrTooLarge) {
		t.Errorf("the client sends it: %v", err)
	}
}

func TestErrorReply(t *testing.T) {
	revision, index := uint64(7), int64(2)
	for _, enc := range []codec.Encoding{codec.Msgpack, codec.JSON, codec.JSONBase64} {
		for _, code := range codec.Codes() {
			e := codec.Errorf(code, "line one\r\nInjected: header\x7f, é, %q", "\x00")
			e.Position = codec.Position{StoreRevision: 9, Epoch: 8}
			e.Field, e.Limit, e.Index, e.Key, e.Name, e.ID, e.Revision = "f", 3, &index, "k", "n", "i", &revision
			m := ErrorReply("_INBOX.x", enc, e)
			if m.Subject != "_INBOX.x" || strings.ContainsAny(m.Header.Get(HeaderError), "\r\n\x00\x7f") {
				t.Fatalf("%s: %q", code, m.Header)
			}
			if got := m.Header.Get(HeaderErrorCode); got == "" || got == "0" {
				t.Errorf("%s: status %q", code, got)
			}
			back, ok := ReplyError(m).(*codec.Error)
			if !ok || !errors.Is(back, &codec.Error{Code: code}) {
				t.Fatalf("%s: came back as %v", code, ReplyError(m))
			}
			if string(codec.Append(nil, codec.JSON, back)) != string(codec.Append(nil, codec.JSON, e)) {
				t.Errorf("%s: came back as %s", code, codec.Append(nil, codec.JSON, back))
			}
		}
	}
	if err := ReplyError(&nats.Msg{Data: []byte(`{"revision":1}`)}); err != nil {
		t.Errorf("a success is %v", err)
	}
	for _, body := range []string{"", "{", "{}", "\x81", "gibberish"} {
		m := &nats.Msg{Header: nats.Header{HeaderErrorCode: {"500"}, HeaderError: {"oh"}}, Data: []byte(body)}
		if err := ReplyError(m); !errors.Is(err, codec.ErrInternal) || !strings.Contains(err.Error(), "oh") {
			t.Errorf("body %q: %v", body, err)
		}
	}
}

func TestEventsDecodeInBothEncodings(t *testing.T) {
	change := codec.Change{Revision: 5, Epoch: 2, Op: codec.OpSet, Key: "a/b", CommitRevision: 5, Value: []byte{0, 0xff}}
	for _, enc := range []codec.Encoding{codec.Msgpack, codec.JSON, codec.JSONBase64} {
		got, err := KVChanged.Decode(codec.Append(nil, enc, &change))
		if err != nil || got.Revision != 5 || got.Key != "a/b" || string(got.Value) != "\x00\xff" {
			t.Errorf("encoding %d: %+v, %v", enc, got, err)
		}
	}
	if _, err := KVChanged.Decode([]byte("gibberish")); err == nil {
		t.Error("gibberish is an event")
	}
}

// FuzzDecode feeds any subject and payload to the server's side: it answers
// with a request that keeps the rules or with a *codec.Error, and what a
// subject covers holds.
func FuzzDecode(f *testing.F) {
	f.Add("kv.get.config.host", []byte(`{"key":"config/host"}`))
	f.Add("batch.apply.config", []byte(`{"ops":[{"op":"kv.set","key":"config/a","value":"1"}],"if":[{"key":"config/a","revision":1}]}`))
	f.Add("kv.clear.a", []byte(`{"prefix":"a/b"}`))
	f.Fuzz(func(t *testing.T, subject string, payload []byte) {
		info, tail := Parse(subject)
		if info == nil || !info.Write {
			return
		}
		cmd, _, err := info.Command(tail, payload)
		if err != nil {
			if _, ok := err.(*codec.Error); !ok {
				t.Fatalf("%T", err)
			}
			return
		}
		if err := cmd.Validate(); err != nil {
			t.Fatalf("decoded, but invalid: %v", err)
		}
		if batch, ok := cmd.(*codec.Batch); ok && tail != "" {
			scope, err := Key(tail)
			if err != nil {
				t.Fatal(err)
			}
			if err := batch.Bind(scope + "/"); err != nil {
				t.Fatalf("not covered, but taken: %v", err)
			}
		}
	})
}
