package codec

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/messages.golden anew")

// samples has each message of the contract with every field set.
func samples() []any {
	at := Position{StoreRevision: 130, Epoch: 1_795_421_071_607}
	written := Written{Position: at, Revision: 129, Duplicate: true}
	entry := Entry{Key: "config/host", Value: []byte("10.0.0.1"), Revision: 7, CreatedRevision: 3, TTLMs: 30_000, ExpiresAtMs: 1_795_421_101_607}
	instance := Instance{
		Name: "web", ID: "a:80", Address: "a", Port: 80, Tags: []string{"x", "y"}, Meta: map[string]string{"k": "v", "a": "b"},
		Status: Passing, Note: "fine", TTLMs: 10_000, ExpiresAtMs: 1_795_421_081_607, Revision: 9, CreatedRevision: 8,
	}
	ttl, note, index, revision := int64(30_000), "late", int64(2), uint64(0)
	set := &Set{Key: "config/host", Value: []byte{0xff, 0}, TTLMs: ttl, KeepTTL: true, IfRevision: Revision(0), ReturnPrevious: true}
	return []any{
		set, &Delete{Key: "k", IfRevision: Revision(5), ReturnPrevious: true}, &Touch{Key: "k", TTLMs: &ttl, IfRevision: Revision(5)},
		&Increment{Key: "n", By: -3, TTLMs: ttl, IfRevision: Revision(5)}, &Clear{Prefix: "tmp/", Limit: 10},
		&Register{Name: "web", ID: "a:80", Address: "a", Port: 80, Tags: []string{"x"}, Meta: map[string]string{"k": "v"}, TTLMs: ttl, Status: Warning, Note: "n", IfRevision: Revision(1)},
		&Heartbeat{Name: "web", ID: "a:80", Status: Critical, Note: &note, IfRevision: Revision(1)},
		&Deregister{Name: "web", ID: "a:80", IfRevision: Revision(1)},
		&Batch{Ops: []Command{set, &Deregister{Name: "web", ID: "a:80"}}, If: []Condition{{Key: "lock/x", Revision: Revision(4)}, {Name: "web", ID: "a:80", Revision: Revision(0)}}},
		&SetReply{Written: written, Created: true, ExpiresAtMs: entry.ExpiresAtMs, Previous: &entry},
		&DeleteReply{Written: written, Deleted: true, Previous: &entry}, &TouchReply{Written: written, ExpiresAtMs: entry.ExpiresAtMs},
		&IncrementReply{Written: written, Created: true, Value: -3}, &ClearReply{Written: written, Deleted: 10, More: true},
		&RegisterReply{Written: written, ID: "a:80", Created: true, ExpiresAtMs: entry.ExpiresAtMs},
		&HeartbeatReply{Written: written, ExpiresAtMs: entry.ExpiresAtMs}, &DeregisterReply{Written: written, Deregistered: true},
		&BatchReply{Written: written, Results: []Reply{&SetReply{Written: Written{Revision: 128}}, &DeregisterReply{Written: Written{Revision: 129}}}},
		&Get{Key: "k"}, &GetReply{Position: at, Entry: entry},
		&List{Prefix: "a/", After: "a/b", Cursor: "c", Limit: 10, ReturnValues: true, Reverse: true, Delimiter: "/"},
		&ListReply{Position: at, Entries: []Entry{entry, {Key: "empty", Value: []byte{}, Revision: 1, CreatedRevision: 1}}, Prefixes: []string{"a/"}, Next: "c"},
		&BatchGet{Keys: []string{"a", "b"}}, &BatchGetReply{Position: at, Entries: []Entry{entry}},
		&GetService{Name: "web", ID: "a:80", Tags: []string{"x"}, Meta: map[string]string{"k": "v"}, Statuses: []string{Passing}, Pick: PickRendezvous, PickKey: "user", Limit: 1, Cursor: "c"},
		&GetServiceReply{Position: at, Instances: []Instance{instance}, Next: "c"},
		&ListServices{Prefix: "w", Limit: 1, Cursor: "c"}, &ListServicesReply{Position: at, Services: []Service{{Name: "web", Count: 2, Tags: []string{"x"}}}, Next: "c"},
		&Status{}, &StatusReply{
			Position: at, StoreID: "3ecb6d8b75269cd8", Version: "1.0.0", Keys: 5, Instances: 2, Bytes: 4096,
			Feed:     FeedStatus{Mode: "live", AckedRevision: 128, OutboxRevisions: 2, OutboxBytes: 700, LagMs: 3},
			UptimeMs: 60_000, Limits: ContractLimits(), Ready: true, Reasons: []string{"none"},
		},
		&Backup{}, &BackupChunk{Seq: 3, Data: []byte{0xff, 0}},
		&BackupReply{Position: at, Done: true, Chunks: 3, Bytes: 300_000, SHA256: "8be8c7…", Keys: 5, Instances: 2},
		&Error{Position: at, Code: Conflict, Message: "m", Temporary: true, Field: "if[2]", Limit: 9, Index: &index, Key: "k", Name: "web", ID: "a:80", Revision: &revision},
		&Change{Revision: 7, Epoch: at.Epoch, Op: OpSet, Key: "config/host", PreviousRevision: 3, CommitRevision: 8, TimeMs: 1_795_421_071_608, Value: []byte("10.0.0.1"), TTLMs: ttl, ExpiresAtMs: entry.ExpiresAtMs},
		&Change{Revision: 8, Epoch: at.Epoch, Op: OpExpire, Name: "web", ID: "a:80", PreviousRevision: 7, CommitRevision: 8, TimeMs: 1_795_421_071_608, Instance: &instance},
		&Change{Revision: 9, Epoch: at.Epoch, Op: OpChanged, Reason: ReasonGap, CommitRevision: 9, TimeMs: 1_795_421_071_608},
		&Rejected{Code: Conflict, Command: "kv.set", ID: "id"},
	}
}

// TestGoldenMessages fixes the bytes of every message: a change here changes
// the contract. -update writes them anew.
func TestGoldenMessages(t *testing.T) {
	var b bytes.Buffer
	for _, m := range samples() {
		packed := Append(nil, Msgpack, m)
		fmt.Fprintf(&b, "%s\n  json    %s\n  msgpack %s\n\n", reflect.TypeOf(m).Elem().Name(), Append(nil, JSON, m), hex.EncodeToString(packed))
		checkDecodes(t, m, packed)
		checkDecodes(t, m, Append(nil, JSON, m))
	}
	const file = "testdata/messages.golden"
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the messages are not those of %s; if the contract is to change, write it anew with -update:\n%s", file, b.Bytes())
	}
}

// checkDecodes reads a message back and compares it.
func checkDecodes(t *testing.T, m any, payload []byte) {
	t.Helper()
	back := reflect.New(reflect.TypeOf(m).Elem()).Interface()
	if r, ok := back.(*BatchReply); ok {
		r.Results = []Reply{&SetReply{}, &DeregisterReply{}}
	}
	if err := Decode(payload, back); err != nil {
		t.Errorf("%T: %v in %q", m, err, payload)
		return
	}
	if !reflect.DeepEqual(m, back) {
		t.Errorf("%T: %+v came back as %+v", m, m, back)
	}
}
