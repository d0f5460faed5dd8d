package integration

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/codec"
)

// consumerOf is a request for the reader's consumer.
func consumerOf(more string) string {
	return `{"stream_name":"SETT_CHANGES","config":{"name":"reader","filter_subject":"kv.changed.config.>"` + more + `}}`
}

const createReader = "$JS.API.CONSUMER.CREATE.SETT_CHANGES.reader.kv.changed.config.>"

// TestBorrowedFromJetStream: whoever asks chooses the reply subject, and the answer of
// JetStream, or of the store, is no command on it.
func TestBorrowedFromJetStream(t *testing.T) {
	g := guard(t, "")
	admin, reader := g.tenant("admin"), g.tenant("reader")
	for _, key := range []string{"config/a", "config/b", "other/a"} {
		admin.must("kv.set", fmt.Sprintf(`{"key":%q,"value":"1"}`, key))
	}
	rejected := make(chan *nats.Msg, 16)
	if _, err := admin.nc.ChanSubscribe("store.rejected.>", rejected); err != nil {
		t.Fatal(err)
	}
	if err := admin.nc.FlushTimeout(patience); err != nil {
		t.Fatal(err)
	}
	created := reader.must(createReader, consumerOf(`,"ack_policy":"explicit","mem_storage":true`))
	if created["name"] != "reader" {
		t.Errorf("the consumer is %v", created["name"])
	}
	ack := pulled(t, reader)
	const next = "$JS.API.CONSUMER.MSG.NEXT.SETT_CHANGES.reader"
	for _, try := range []struct{ subject, payload, borrowed string }{
		{next, `{"batch":9,"no_wait":true}`, "kv.delete.other.a"}, // what is there, and then 404
		{next, `{"batch":1,"no_wait":true}`, "kv.touch.other.a"},
		{next, `{"batch":1,"no_wait":true}`, "kv.clear.other"},
		{ack, "+WPI", "kv.delete.other.a"},
		{ack, "+ACK", "kv.increment.other.n"},
	} {
		if reader.denied(func() error { return reader.nc.PublishRequest(try.subject, try.borrowed, []byte(try.payload)) }) {
			t.Fatalf("%s: denied: the test is wrong", try.subject)
		}
		m := within(t, patience, "refusal of "+try.borrowed, rejected)
		if command := strings.TrimPrefix(m.Subject, "store.rejected."); !strings.HasPrefix(try.borrowed, command+".") {
			t.Errorf("%s with the reply %s: %s %s", try.subject, try.borrowed, m.Subject, m.Data)
		}
	}
	for _, borrowed := range []string{"kv.delete.other.a", "_sett._.feed.kv.changed.other.a", "$JS.API.STREAM.DELETE.SETT_CHANGES"} {
		if err := reader.nc.PublishRequest("kv.get.config.a", borrowed, nil); err != nil {
			t.Fatal(err)
		}
		reader.must("kv.get.config.a", "") // which comes behind it
	}
	if got := admin.must("kv.get.other.a", ""); got["revision"] != int64(3) || got["store_revision"] != int64(3) {
		t.Errorf("a borrowed reply has changed other/a: %v", got)
	}
}

// pulled is where to acknowledge a message that the reader has pulled.
func pulled(t *testing.T, reader *tenant) (ack string) {
	t.Helper()
	sub, err := reader.nc.SubscribeSync(reader.nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.SETT_CHANGES.reader", sub.Subject, []byte("1")); err != nil {
		t.Fatal(err)
	}
	m, err := sub.NextMsg(patience)
	if err != nil || m.Subject != "kv.changed.config.a" {
		t.Fatalf("%v: %v", err, m)
	}
	return m.Reply
}

// TestPushIntoTheStore: a consumer that delivers to a command's subject is no
// way around the rights to publish there.
func TestPushIntoTheStore(t *testing.T) {
	g := guard(t, "")
	admin, reader := g.tenant("admin"), g.tenant("reader")
	admin.must("kv.set", `{"key":"config/a","value":"1"}`)
	admin.must("kv.set", `{"key":"other/a","value":"1"}`)
	group := fmt.Sprintf(`,"deliver_group":%q`, admin.must("store.status", "")["store_id"])
	for _, more := range []string{"", `,"headers_only":true`, `,"idle_heartbeat":100000000,"flow_control":true`} {
		reader.must(createReader, consumerOf(`,"ack_policy":"none","mem_storage":true,"deliver_subject":"kv.delete"`+group+more))
		eventually(t, patience, func() error { // it has delivered
			info := reader.must("$JS.API.CONSUMER.INFO.SETT_CHANGES.reader", "")
			if delivered := info["delivered"].(obj); delivered["consumer_seq"] == int64(0) {
				return fmt.Errorf("nothing yet: %v", info)
			}
			return nil
		})
		if got := admin.must("kv.get.other.a", ""); got["store_revision"] != int64(2) {
			t.Errorf("with %q: %v", more, got)
		}
		reader.must("$JS.API.CONSUMER.DELETE.SETT_CHANGES.reader", "")
	}
}

// TestOthersCursor: a cursor, also a forged one, shows nothing outside of the
// subject that it is used on.
func TestOthersCursor(t *testing.T) {
	g := guard(t, "")
	admin, reader := g.tenant("admin"), g.tenant("reader")
	for _, key := range []string{"app/1", "config/a", "config/b", "config/c", "other/1"} {
		admin.must("kv.set", fmt.Sprintf(`{"key":%q,"value":"1"}`, key))
	}
	for _, others := range []obj{
		admin.must("kv.list", `{"limit":1}`), admin.must("kv.list.other", `{"limit":1,"prefix":"other/"}`), admin.must("kv.list", `{"limit":2,"reverse":true}`),
	} {
		if next, ok := others["next"].(string); ok {
			if outcome, answer := reader.ask("kv.list.config", fmt.Sprintf(`{"cursor":%q}`, next)); outcome != "invalid" {
				t.Errorf("another's cursor: %s: %s", outcome, answer)
			}
		}
	}
	for _, list := range []string{`"limit":1`, `"limit":1,"reverse":true`, `"limit":1,"delimiter":"/"`} {
		page := reader.must("kv.list.config", "{"+list+"}")
		for _, after := range []string{"", "app/1", "aaa", "config", "config/b", "configz", "other/1", "\xff"} {
			next := forged(t, page["next"].(string), after)
			_, answer := reader.ask("kv.list.config", fmt.Sprintf(`{%s,"cursor":%q}`, list, next))
			if strings.Contains(string(answer), "app/") || strings.Contains(string(answer), "other/") {
				t.Errorf("{%s} after %q: %s", list, after, answer)
			}
		}
	}
}

// forged is a cursor that goes on behind another key.
func forged(t *testing.T, cursor, after string) string {
	t.Helper()
	var c struct {
		Epoch    uint64 `wire:"e"`
		Revision uint64 `wire:"r"`
		Filter   uint64 `wire:"f"`
		After    string `wire:"a"`
		Folded   bool   `wire:"p,omitempty"`
	}
	data, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = codec.Decode(data, &c)
	}
	if err != nil || c.Epoch == 0 {
		t.Fatalf("cannot forge %q: %v %v", cursor, c, err)
	}
	c.After = after
	return base64.RawURLEncoding.EncodeToString(codec.Append(nil, codec.Msgpack, &c))
}
