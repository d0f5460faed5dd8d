package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/settkv/sett/codec"
)

func smallBackup() []byte {
	return forge(backupHeader{StoreID: "x", Revision: 10, Epoch: 1},
		storedRecord("kv:a", codec.Record{Revision: 1, Created: 1, Value: []byte("v")}),
		storedRecord("svc:web\x001", codec.Record{Revision: 2, Created: 2, Value: codec.Append(nil, codec.Msgpack, &codec.InstanceRecord{Instance: codec.Instance{Name: "web", ID: "1"}})}))
}

// largeBackup has several blocks, which cannot be packed.
func largeBackup(t testing.TB) []byte {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	var out bytes.Buffer
	info, err := writeBackup(&out, backupHeader{StoreID: "x", Revision: 100, Epoch: 1}, nil, func(add func(key, value []byte) error) error {
		for i := range 40 {
			value := make([]byte, 50_000)
			random.Read(value)
			r := storedRecord(fmt.Sprintf("kv:%03d", i), codec.Record{Revision: 1, Created: 1, Value: value})
			if err := add(r[0], r[1]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || info.Keys != 40 || info.Size != int64(out.Len()) {
		t.Fatalf("%+v, %v", info, err)
	}
	return out.Bytes()
}

// wantRefused fails unless a backup is refused for the reason.
func wantRefused(t *testing.T, what string, data []byte, why error) {
	t.Helper()
	_, err := VerifyBackup(bytes.NewReader(data))
	if !errors.Is(err, why) {
		t.Fatalf("%s: %v, want %v", what, err, why)
	}
}

// TestEveryFlippedBitAndEveryCutIsRefused, and the error says which it was.
func TestEveryFlippedBitAndEveryCutIsRefused(t *testing.T) {
	good := smallBackup()
	if info, err := VerifyBackup(bytes.NewReader(good)); err != nil || info.Keys != 1 || info.Instances != 1 || info.Size != int64(len(good)) {
		t.Fatalf("%+v, %v", info, err)
	}
	for i := range good {
		why := ErrBackupCut
		if i == 0 {
			why = ErrBackupForeign
		}
		wantRefused(t, fmt.Sprintf("cut at %d", i), good[:i], why)
		why = ErrBackupDamaged
		if i < len(backupMagic+backupVersion) {
			why = ErrBackupForeign
		}
		for bit := range 8 {
			flipped := slices.Clone(good)
			flipped[i] ^= 1 << bit
			wantRefused(t, fmt.Sprintf("bit %d of byte %d flipped", bit, i), flipped, why)
		}
	}
}

// TestALargeBackupCutOrMixedUp: at the boundaries of its parts, and around them.
func TestALargeBackupCutOrMixedUp(t *testing.T) {
	good := largeBackup(t)
	all := parts(t, good)
	if len(all) < 5 {
		t.Fatalf("only %d parts", len(all))
	}
	at := len(backupMagic + backupVersion)
	for _, p := range all {
		for _, cut := range []int{at, at + 1, at + frameHead, at + frameHead + 1, at + frameHead + len(p.payload) - 1} {
			wantRefused(t, fmt.Sprintf("cut at %d", cut), good[:cut], ErrBackupCut)
		}
		at += frameHead + len(p.payload)
	}
	wantRefused(t, "without its sum", good[:at], ErrBackupCut)
	const magic = len(backupMagic + backupVersion)
	first := magic + frameHead + len(all[0].payload)
	second := first + frameHead + len(all[1].payload)
	third := second + frameHead + len(all[2].payload)
	flipped := slices.Clone(good)
	flipped[second+1000] ^= 1
	if _, err := VerifyBackup(bytes.NewReader(flipped)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("at byte %d: the checksum of a part", second)) {
		t.Errorf("damage in the part that begins at %d: %v", second, err)
	}
	for what, data := range map[string][]byte{
		"a part left out":   slices.Concat(good[:first], good[second:]),
		"a part twice":      slices.Concat(good[:second], good[first:]),
		"two parts swapped": slices.Concat(good[:first], good[second:third], good[first:second], good[third:]),
		"longer":            append(slices.Clone(good), 0),
		"twice":             slices.Concat(good, good),
	} {
		wantRefused(t, what, data, ErrBackupDamaged)
	}
}

// TestWhatIsNoBackup of this format is called so.
func TestWhatIsNoBackup(t *testing.T) {
	for what, data := range map[string]string{
		"nothing": "", "text": "hello, world", "zeros": strings.Repeat("\x00", 1000), "a tar": "sett-data/\x00\x00\x00\x00\x00\x00",
		"an older format": "sett backup 1\n" + strings.Repeat("x", 100), "a newer one": "sett backup 9\n",
	} {
		wantRefused(t, what, []byte(data), ErrBackupForeign)
	}
	_, err := VerifyBackup(strings.NewReader("sett backup 9\n"))
	if err == nil || !strings.Contains(err.Error(), `"9"`) {
		t.Errorf("a newer format: %v", err)
	}
	header := codec.Append(nil, codec.Msgpack, &backupHeader{Encryption: "aes"})
	if _, err := VerifyBackup(bytes.NewReader(assemble(rawFrame{headerFrame, header}))); err == nil || !strings.Contains(err.Error(), "encrypted") {
		t.Errorf("an encrypted one: %v", err)
	}
	broken := errors.New("the disk is broken")
	if _, err := VerifyBackup(io.MultiReader(bytes.NewReader(smallBackup()[:50]), failing{broken})); !errors.Is(err, broken) {
		t.Errorf("what cannot be read: %v", err)
	}
}

type failing struct{ err error }

func (r failing) Read([]byte) (int, error) { return 0, r.err }

// TestHostileBackups have right sums and are meant to hurt whoever reads them.
func TestHostileBackups(t *testing.T) {
	header := rawFrame{headerFrame, codec.Append(nil, codec.Msgpack, &backupHeader{StoreID: "x", Revision: 10, Epoch: 1})}
	end := func(c backupCounts) rawFrame { return rawFrame{endFrame, codec.Append(nil, codec.Msgpack, &c)} }
	wide, err := zstd.NewWriter(nil, zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(false))
	if err != nil {
		t.Fatal(err)
	}
	defer wide.Close()
	zeros := make([]byte, 100<<20)
	huge := []byte{headerFrame, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0}
	huge = binary.LittleEndian.AppendUint32(huge, crc32.Checksum(huge, castagnoli))
	huge = append([]byte(backupMagic+backupVersion), huge...)
	for what, data := range map[string][]byte{
		"no header":          assemble(end(backupCounts{})),
		"two headers":        assemble(header, header, end(backupCounts{})),
		"a header of noise":  assemble(rawFrame{headerFrame, []byte("noise")}, end(backupCounts{})),
		"a kind of its own":  assemble(header, rawFrame{'X', nil}, end(backupCounts{})),
		"wrong counts":       assemble(header, end(backupCounts{Keys: 1})),
		"an end of noise":    assemble(header, rawFrame{endFrame, []byte{0xff}}),
		"records of noise":   assemble(header, rawFrame{recordsFrame, []byte("noise")}, end(backupCounts{})),
		"half a record":      assemble(header, rawFrame{recordsFrame, packed([]byte("\x04kv:a\x05xx"))}, end(backupCounts{})),
		"a length of 2^63":   assemble(header, rawFrame{recordsFrame, packed([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))}, end(backupCounts{})),
		"100 MiB of zeros":   assemble(header, rawFrame{recordsFrame, packed(zeros)}, end(backupCounts{})),
		"a window of 64 MiB": assemble(header, rawFrame{recordsFrame, wide.EncodeAll(zeros, nil)}, end(backupCounts{})),
		"a part of 2 GiB":    huge,
	} {
		grown := allocated(func() { wantRefused(t, what, data, ErrBackupDamaged) })
		if limit := uint64(16 << 20); grown > limit {
			t.Errorf("%s: reading it took %d bytes of memory", what, grown)
		}
	}
}

// allocated is how many bytes a function allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// FuzzVerifyBackup: a reader neither panics nor takes anything that a store
// would not write.
func FuzzVerifyBackup(f *testing.F) {
	good := smallBackup()
	f.Add(good)
	f.Add(good[:40])
	f.Add([]byte(backupMagic + backupVersion))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, reseal(data)} {
			whole, err := VerifyBackup(bytes.NewReader(data))
			begin, headErr := ReadBackupHeader(bytes.NewReader(data))
			if err != nil {
				continue
			}
			if headErr != nil || begin.StoreID != whole.StoreID || begin.Revision != whole.Revision || whole.Size != int64(len(data)) {
				t.Errorf("its header says %+v (%v), the whole %+v", begin, headErr, whole)
			}
		}
	})
}
