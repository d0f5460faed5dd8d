package codec

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"slices"
	"testing"
)

// storedRecords are records with the bytes that stand on disk. A change here is
// a change of the data format.
var storedRecords = []struct {
	name   string
	key    string
	record Record
	bytes  string
}{
	{"small", "kv:a", Record{Revision: 1, Created: 1, Value: []byte("v")}, "010101000076c03c9e88"},
	{"empty value", "kv:a", Record{Revision: 300, Created: 2, Value: []byte{}}, "01ac0202000097eed39a"},
	{"deadline", "kv:a", Record{Revision: 2, Created: 1, TTLMs: 10, ExpiresAtMs: 1_700_000_000_000, Value: []byte{0xff, 0}}, "0102010a80d095ffbc31ff00f0cb19f9"},
	{"largest", "svc:web\x001", Record{Revision: math.MaxUint64, Created: math.MaxUint64, TTLMs: math.MaxInt64, ExpiresAtMs: math.MaxInt64, Value: []byte{1}}, "01ffffffffffffffffff01ffffffffffffffffff01ffffffffffffffff7fffffffffffffffff7f016dec62ba"},
}

func TestRecordsAreStoredAsBefore(t *testing.T) {
	for _, c := range storedRecords {
		t.Run(c.name, func(t *testing.T) {
			stored := AppendRecord([]byte("before"), []byte(c.key), &c.record)
			if !bytes.HasPrefix(stored, []byte("before")) {
				t.Fatalf("%q lost what was there", stored)
			}
			stored = stored[len("before"):]
			if got := hex.EncodeToString(stored); got != c.bytes {
				t.Errorf("stored as %s, before as %s", got, c.bytes)
			}
			got, err := ParseRecord([]byte(c.key), stored)
			if err != nil || !reflect.DeepEqual(got, c.record) {
				t.Errorf("read back %+v, %v", got, err)
			}
		})
	}
}

func TestSealedDataIsStoredAsBefore(t *testing.T) {
	stored := Seal([]byte("data"), []byte("meta"))
	if got, want := hex.EncodeToString(stored), "0164617461e805aaa9"; got != want {
		t.Errorf("stored as %s, before as %s", got, want)
	}
	if got, err := Unseal([]byte("meta"), stored); err != nil || string(got) != "data" {
		t.Errorf("read back %q, %v", got, err)
	}
}

// TestDamageOfWhatIsStoredIsAnError: a flipped bit, a cut, another key, another
// version.
func TestDamageOfWhatIsStoredIsAnError(t *testing.T) {
	key := []byte("kv:a")
	for name, c := range map[string]struct {
		stored []byte
		read   func(key, stored []byte) error
	}{
		"record": {AppendRecord(nil, key, &Record{Revision: 1, Created: 1, Value: []byte("value")}), func(key, stored []byte) error {
			_, err := ParseRecord(key, stored)
			return err
		}},
		"part": {storePart(key, &storedPart, storedChanges), func(key, stored []byte) error {
			_, err := ParsePart(key, stored)
			return err
		}},
		"sealed": {Seal([]byte("data"), key), func(key, stored []byte) error {
			_, err := Unseal(key, stored)
			return err
		}},
	} {
		if err := c.read(key, c.stored); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range c.stored {
			if c.read(key, c.stored[:i]) == nil {
				t.Errorf("%s: cut at %d and read", name, i)
			}
			for bit := range 8 {
				flipped := slices.Clone(c.stored)
				flipped[i] ^= 1 << bit
				if c.read(key, flipped) == nil {
					t.Errorf("%s: bit %d of byte %d flipped and read", name, bit, i)
				}
			}
		}
		if c.read([]byte("kv:b"), c.stored) == nil {
			t.Errorf("%s: read under another key", name)
		}
		other := append([]byte{c.stored[0] + 1}, c.stored[1:len(c.stored)-4]...)
		if c.read(key, appendSum(other, 0, key)) == nil {
			t.Errorf("%s: another version was read", name)
		}
		if c.read(key, append(slices.Clone(c.stored), 0)) == nil {
			t.Errorf("%s: read with a byte behind it", name)
		}
	}
}

// FuzzStored: no bytes, with a right checksum or not, make a reader panic, and
// what is read is written back as the same.
func FuzzStored(f *testing.F) {
	for _, c := range storedRecords {
		f.Add(AppendRecord(nil, []byte("k"), &c.record))
	}
	f.Add(storePart([]byte("k"), &storedPart, storedChanges))
	f.Fuzz(func(t *testing.T, data []byte) {
		key := []byte("k")
		part := SealPart(append([]byte{partVersion}, data...), 0, key)
		for _, stored := range [][]byte{data, Seal(data, key), part} {
			if r, err := ParseRecord(key, stored); err == nil {
				again, err := ParseRecord(key, AppendRecord(nil, key, &r))
				if err != nil || !bytes.Equal(again.Value, r.Value) || again.Revision != r.Revision || again.TTLMs != r.TTLMs {
					t.Errorf("%+v became %+v, %v", r, again, err)
				}
			}
			checkPart(t, key, stored)
			_, _ = Unseal(key, stored)
		}
	})
}
