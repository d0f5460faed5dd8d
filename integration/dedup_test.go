package integration

import (
	"strings"
	"testing"
)

// repeatable are commands with an id, their id, and what the repeat must have
// beside duplicate and revision.
var repeatable = []struct{ subject, payload string }{
	{"kv.set", `{"key":"a","value":"1"}`},
	{"kv.set.a", `{"value":"2"}`},
	{"kv.increment", `{"key":"n"}`},
	{"kv.delete", `{"key":"a"}`},
	{"kv.delete", `{"key":"never"}`},
	{"kv.touch", `{"key":"n","ttl_ms":60000}`},
	{"kv.clear", `{"prefix":"none/"}`},
	{"svc.register", `{"name":"web","id":"1"}`},
	{"svc.deregister", `{"name":"web","id":"1"}`},
	{"batch.apply", `{"ops":[{"op":"kv.increment","key":"n"},{"op":"kv.set","key":"b","value":"1"}]}`},
}

// TestMessageIDs: a repeat is not applied again, whatever happened to the
// store in between, and it gets the first one's result.
func TestMessageIDs(t *testing.T) {
	p := serve(t)
	nc := p.connect()
	var first []answer
	for i, c := range repeatable {
		a := askWith(t, nc, c.subject, []byte(c.payload), header("id"+string(rune('a'+i))))
		if a.refused() || a.fields["duplicate"] != nil {
			t.Fatalf("%s: %s", c.subject, a.raw)
		}
		first = append(first, a)
	}
	repeat := func(after string) {
		t.Helper()
		for i, c := range repeatable {
			a := askWith(t, nc, c.subject, []byte(c.payload), header("id"+string(rune('a'+i))))
			if a.fields["duplicate"] != true {
				t.Errorf("%s: %s: the repeat is not told to be one: %s", after, c.subject, a.raw)
			}
			delete(a.fields, "duplicate")
			want := obj{}
			for name, value := range first[i].fields {
				want[name] = value
			}
			for _, name := range []string{"store_revision", "epoch"} {
				want[name], a.fields[name] = 0, int64(0) // of the answer itself
			}
			if err := match(a.fields, want, nil); err != nil {
				t.Errorf("%s: %s: %v", after, c.subject, err)
			}
		}
		if value, _, _ := get(t, nc, "n"); value != "2" {
			t.Errorf("%s: n is %s: a repeat was applied", after, value)
		}
	}
	repeat("at once")
	p.stop()
	p = p.again()
	nc = p.connect()
	repeat("after a restart")
	p.kill()
	p = p.again()
	nc = p.connect()
	repeat("after kill -9")
}

// TestMessageIDRules: what an id is looked up by, and what is not remembered.
func TestMessageIDRules(t *testing.T) {
	nc := serve(t).connect()
	send := func(subject, payload, id string) answer {
		t.Helper()
		return askWith(t, nc, subject, []byte(payload), header(id))
	}
	want := func(a answer, code string, duplicate bool) {
		t.Helper()
		if got, _ := a.fields["code"].(string); got != code || (a.fields["duplicate"] == true) != duplicate {
			t.Errorf("%s, not code %q and duplicate %v", a.raw, code, duplicate)
		}
	}
	want(send("kv.set", `{"key":"a","value":"1"}`, "1"), "", false)
	want(send("kv.set", `{"key":"a","value":"2"}`, "1"), "invalid", false) // other bytes
	want(send("kv.set", `{"value":"1","key":"a"}`, "1"), "invalid", false)
	want(send("kv.set.a", `{"key":"a","value":"2"}`, "1"), "", false) // another subject
	want(send("kv.delete", `{"key":"a","if_revision":1}`, "2"), "conflict", false)
	want(send("kv.delete", `{"key":"a","if_revision":2}`, "2"), "", false) // what was refused is not remembered
	want(send("kv.set", `{"key":"b","value":"1","return_previous":true}`, "3"), "", false)
	want(send("kv.set", `{"key":"b","value":"2","return_previous":true}`, "4"), "", false)
	if a := send("kv.set", `{"key":"b","value":"2","return_previous":true}`, "4"); a.fields["previous"] != nil || a.fields["duplicate"] != true {
		t.Errorf("a repeat has previous: %s", a.raw)
	}
	want(send("kv.get", `{"key":"b"}`, "5"), "", false)
	want(send("kv.get", `{"key":"nope"}`, "5"), "not_found", false) // reads ignore ids
	want(send("svc.register", `{"name":"web","id":"1","ttl_ms":60000}`, "6"), "", false)
	want(send("svc.heartbeat", `{"name":"web","id":"1"}`, "7"), "", false)
	want(send("svc.heartbeat", `{"name":"web","id":"1"}`, "7"), "", false) // renewing heartbeats too
	want(send("svc.heartbeat", `{"name":"web","id":"1","status":"warning"}`, "8"), "", false)
	want(send("kv.set", `{"key":"c","value":"1"}`, strings.Repeat("x", 128)), "", false)
	want(send("kv.set", `{"key":"c","value":"1"}`, strings.Repeat("x", 128)), "", true)
	want(send("kv.set", `{"key":"c","value":"1"}`, strings.Repeat("x", 129)), "invalid", false)
	want(send("kv.get", `{"key":"c"}`, strings.Repeat("x", 129)), "", false)
	packed := inMsgpack.payload(t, obj{"key": "d"})
	want(askWith(t, nc, "kv.increment", packed, header("9")), "", false)
	want(askWith(t, nc, "kv.increment", packed, header("9")), "", true)
}

// TestMessageIDWithoutReply: at most once also where nobody waits.
func TestMessageIDWithoutReply(t *testing.T) {
	nc := serve(t).connect()
	for range 3 {
		m := natsMsg("kv.increment", `{"key":"n"}`)
		m.Header = header("same")
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	set(t, nc, "last", "1")
	if value, _, _ := get(t, nc, "n"); value != "1" {
		t.Errorf("n is %s after one increment that was sent three times", value)
	}
}
