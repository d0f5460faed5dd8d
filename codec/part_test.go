package codec

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"
)

var (
	storedPart    = Part{Commit: 9, Encoding: JSON, Last: 300, Size: 1234}
	storedChanges = []Change{
		{Op: OpSet, Revision: 7, Epoch: 1, Key: "a/b", PreviousRevision: 3, CommitRevision: 8, TimeMs: 5, Value: []byte("v"), TTLMs: 1000, ExpiresAtMs: 1005},
		{Op: OpSet, Revision: 8, Epoch: 1, Key: "empty", CommitRevision: 8, Value: []byte{}},
		{Op: OpDelete, Revision: 9, Epoch: 1, Key: "a/b", PreviousRevision: 7, CommitRevision: 9},
		{Op: OpExpire, Revision: 10, Epoch: 1, Name: "web", ID: "1", CommitRevision: 10, Instance: &Instance{Name: "web", ID: "1", Status: "passing"}},
		{Op: OpRegister, Revision: 11, Epoch: 1, Name: "web", ID: "2", CommitRevision: 11, Instance: &Instance{
			Name: "web", ID: "2", Tags: []string{"x"}, Meta: map[string]string{"k": "v"}, Revision: 11, CreatedRevision: 11,
		}},
		{Op: OpDeregister, Revision: 12, Epoch: 1, Name: "web", ID: "2", CommitRevision: 12},
		{Op: OpChanged, Revision: 300, Epoch: 2, Reason: ReasonGap, CommitRevision: 300},
	}
)

func storePart(key []byte, p *Part, changes []Change) []byte {
	stored := AppendPart(nil, p)
	for i := range changes {
		stored = AppendChange(stored, &changes[i], false)
	}
	return SealPart(stored, 0, key)
}

func TestPartsAreStoredAsBefore(t *testing.T) {
	key := []byte("out:\x00\x00\x00\x00\x00\x00\x00\x07")
	const want = "020109ac02d209810701030805e807ed0703612f620000000176810801000800000005656d70747900000000020901070900000003612f62000000430a01000a00000000037765620131003a85a46e616d65a3776562a26964a131a6737461747573a770617373696e67a87265766973696f6e00b0637265617465645f7265766973696f6e00440b01000b00000000037765620132004587a46e616d65a3776562a26964a132a47461677391a178a46d65746181a16ba176a6737461747573a0a87265766973696f6e0bb0637265617465645f7265766973696f6e0b050c01000c000000000377656201320006ac020200ac0200000000000003676170ba9d4d36"
	stored := storePart(key, &storedPart, storedChanges)
	if got := hex.EncodeToString(stored); got != want {
		t.Errorf("stored as %s, before as %s", got, want)
	}
	p, err := ParsePart(key, stored)
	if err != nil || p.Commit != 9 || p.Encoding != JSON || p.Last != 300 || p.Size != 1234 {
		t.Errorf("read back %+v, %v", p, err)
	}
	changes, err := p.Changes()
	if err != nil || !reflect.DeepEqual(changes, storedChanges) {
		t.Errorf("read back %+v, %v", changes, err)
	}
}

func TestAValueThatStandsInItsRecordIsNotStoredTwice(t *testing.T) {
	c := storedChanges[0]
	stored := SealPart(AppendChange(AppendPart(nil, &storedPart), &c, true), 0, nil)
	p, err := ParsePart(nil, stored)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := p.Changes()
	if c.Value = nil; err != nil || !reflect.DeepEqual(changes, []Change{c}) {
		t.Errorf("read back %+v, %v", changes, err)
	}
}

// TestAStoredChangeMakesTheSameEvent, byte by byte: who compares a stream's
// message with it must find no difference.
func TestAStoredChangeMakesTheSameEvent(t *testing.T) {
	p, err := ParsePart(nil, storePart(nil, &storedPart, storedChanges))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := p.Changes()
	if err != nil {
		t.Fatal(err)
	}
	for i := range changes {
		for _, enc := range []Encoding{JSON, Msgpack} {
			got, want := Append(nil, enc, &changes[i]), Append(nil, enc, &storedChanges[i])
			if !bytes.Equal(got, want) {
				t.Errorf("%q became %q", want, got)
			}
		}
	}
}

// checkPart fails if what is read of a part is not written back as the same.
func checkPart(t *testing.T, key, stored []byte) {
	p, err := ParsePart(key, stored)
	if err != nil {
		return
	}
	changes, err := p.Changes()
	if err != nil {
		return
	}
	again, err := ParsePart(key, storePart(key, &p, changes))
	if err != nil {
		t.Fatalf("%+v was written and not read: %v", p, err)
	}
	if same, err := again.Changes(); err != nil || len(same) != len(changes) {
		t.Errorf("%d changes became %d, %v", len(changes), len(same), err)
	}
}
