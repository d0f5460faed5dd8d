package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/settkv/sett/codec"
)

// TestADamagedBackupIsRefusedAndNothingIsTouched cuts and flips every byte.
func TestADamagedBackupIsRefusedAndNothingIsTouched(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		h.set("a", "1")
		h.do(&codec.Register{Name: "web", ID: "1"})
		good, err := os.ReadFile(h.backup())
		if err != nil {
			t.Fatal(err)
		}
		h.set("a", "2")
		before, at := h.dump(), h.Position()
		path := filepath.Join(t.TempDir(), "damaged")
		try := func(what string, data []byte) {
			t.Helper()
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := h.Restore(path); err == nil {
				t.Fatalf("%s: restored", what)
			}
			if h.Position() != at || h.dump() != before {
				t.Fatalf("%s: refused, but something changed", what)
			}
		}
		for i := range good {
			try(fmt.Sprintf("cut at %d", i), good[:i])
			flipped := slices.Clone(good)
			flipped[i] ^= 0x10
			try(fmt.Sprintf("flipped at %d", i), flipped)
		}
		try("longer", append(slices.Clone(good), 0))
		try("twice", append(slices.Clone(good), good...))
		if err := h.Restore(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file that is not there: %v", err)
		}
		h.check()
	})
}

func TestABackupThatNoStoreWroteIsRefused(t *testing.T) {
	header := backupHeader{StoreID: "x", Revision: 10, Epoch: 1}
	record := storedRecord
	sealed := func(key string, data []byte) [2][]byte {
		return [2][]byte{[]byte(key), codec.Seal(data, []byte(key))}
	}
	fine := codec.Record{Revision: 2, Created: 1, Value: []byte("v")}
	instance := codec.Record{Revision: 3, Created: 3, Value: codec.Append(nil, codec.Msgpack, &codec.InstanceRecord{Instance: codec.Instance{Name: "web", ID: "1"}})}
	engines(t, func(t *testing.T, h *harness) {
		h.set("a", "1")
		at := h.Position()
		path := filepath.Join(t.TempDir(), "forged")
		for name, data := range map[string][]byte{
			"a key of the engine":      forge(header, record("meta", fine)),
			"a short outbox key":       forge(header, record("out:", fine)),
			"a short key of ids":       forge(header, sealed("ids:", []byte("x"))),
			"no key at all":            forge(header, record("kvx", fine)),
			"a service without id":     forge(header, record("svc:web", instance)),
			"an instance of garbage":   forge(header, record("svc:web\x001", fine)),
			"keys out of order":        forge(header, record("kv:b", fine), record("kv:a", codec.Record{Revision: 3, Created: 3})),
			"a key twice":              forge(header, record("kv:b", fine), record("kv:b", codec.Record{Revision: 3, Created: 3})),
			"a revision that is ahead": forge(header, record("kv:b", codec.Record{Revision: 11, Created: 1})),
			"no revision":              forge(header, record("kv:b", codec.Record{})),
			"created after it changed": forge(header, record("kv:b", codec.Record{Revision: 2, Created: 3})),
		} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := h.Restore(path); err == nil {
				t.Errorf("%s: restored", name)
			}
			if h.Err() != nil || h.Position() != at || h.get("a") != "1" {
				t.Fatalf("%s: not refused in time: %v", name, h.Err())
			}
		}
		if err := os.WriteFile(path, forge(header, record("kv:b", fine), record("svc:web\x001", instance)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := h.Restore(path); err != nil {
			t.Errorf("a good one: %v", err)
		}
		if h.get("b") != "v" || h.Position().StoreRevision != 11 {
			t.Errorf("restored at %+v", h.Position())
		}
	})
}

// FuzzRestore: whatever a file holds, a restore neither panics nor succeeds
// with anything but a whole backup.
func FuzzRestore(f *testing.F) {
	record := storedRecord
	good := forge(backupHeader{StoreID: "x", Revision: 10, Epoch: 1},
		record("kv:a", codec.Record{Revision: 1, Created: 1, Value: []byte("v")}),
		record("svc:web\x001", codec.Record{Revision: 2, Created: 2, TTLMs: 10, Value: codec.Append(nil, codec.Msgpack, &codec.InstanceRecord{Instance: codec.Instance{Name: "web", ID: "1"}})}))
	f.Add(good)
	f.Add(forge(backupHeader{}))
	f.Add([]byte(backupMagic + backupVersion))
	f.Add([]byte{})
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, reseal(data)} {
			// A store only for what passes: its goroutines would slow the fuzzer.
			if _, err := VerifyBackup(bytes.NewReader(data)); err != nil {
				continue
			}
			h := open(t, Memory)
			h.set("a", "before")
			path := filepath.Join(t.TempDir(), "fuzz")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := h.Restore(path); err != nil {
				t.Fatalf("refused what was checked: %v", err)
			}
			h.check()
			var again bytes.Buffer
			if err := h.StreamBackup(&again); err != nil {
				t.Fatal(err)
			}
			if _, err := VerifyBackup(&again); err != nil {
				t.Fatalf("restored what cannot be restored again: %v", err)
			}
		}
	})
}

// reseal gives every frame, and the whole, a right checksum, so that the fuzzer
// gets behind them.
func reseal(data []byte) []byte {
	const magic = backupMagic + backupVersion
	if !bytes.HasPrefix(data, []byte(magic)) {
		return data
	}
	var all []rawFrame
	for rest := data[len(magic):]; len(rest) > frameHead; {
		kind, size := rest[0], binary.LittleEndian.Uint32(rest[1:])
		rest = rest[frameHead:]
		size = min(size, uint32(len(rest)))
		all = append(all, rawFrame{kind, rest[:size]})
		if rest = rest[size:]; kind == endFrame {
			break
		}
	}
	return assemble(all...)
}

// stuck takes nothing until it is freed.
type stuck struct{ entered, free chan struct{} }

func (w stuck) Write(p []byte) (int, error) {
	select {
	case w.entered <- struct{}{}:
	default:
	}
	<-w.free
	return len(p), nil
}

// TestABackupGivesWay: a restore and Close would otherwise wait for whoever
// takes the backup, and with them every command.
func TestABackupGivesWay(t *testing.T) {
	for what, begin := range map[string]struct {
		do    func(h *harness, path string) error
		begun func(h *harness) bool
	}{
		"restore": {func(h *harness, path string) error { return h.Restore(path) }, func(h *harness) bool { return h.restores.Load() > 0 }},
		"close":   {func(h *harness, _ string) error { h.closed = true; return h.Close() }, func(h *harness) bool { return h.store.closed.Load() }},
	} {
		t.Run(what, func(t *testing.T) {
			engines(t, func(t *testing.T, h *harness) {
				h.filled()
				path := h.fileOf()
				w := stuck{make(chan struct{}, 1), make(chan struct{})}
				backup, other := make(chan error, 1), make(chan error, 1)
				go func() { backup <- h.StreamBackup(w) }()
				<-w.entered
				go func() { other <- begin.do(h, path) }()
				for !begin.begun(h) {
					runtime.Gosched()
				}
				close(w.free)
				if err := <-backup; !errors.Is(err, codec.ErrUnavailable) {
					t.Errorf("the backup: %v", err)
				}
				if err := <-other; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
