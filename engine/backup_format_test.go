package engine

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
)

// forge makes a backup whose sums are right, whatever it says.
func forge(header backupHeader, records ...[2][]byte) []byte {
	var block []byte
	counts := backupCounts{}
	for _, r := range records {
		block = appendChunk(appendChunk(block, r[0]), r[1])
		counts.add(r[0], r[1])
	}
	return assemble(
		rawFrame{headerFrame, codec.Append(nil, codec.Msgpack, &header)},
		rawFrame{recordsFrame, packed(block)},
		rawFrame{endFrame, codec.Append(nil, codec.Msgpack, &counts)},
	)
}

// rawFrame is a frame before it has its sums.
type rawFrame struct {
	kind    byte
	payload []byte
}

// assemble makes a backup of any frames.
func assemble(parts ...rawFrame) []byte {
	var out bytes.Buffer
	w := mustWriter(&out)
	for _, p := range parts {
		if err := w.frame(p.kind, p.payload); err != nil {
			panic(err)
		}
	}
	if err := w.write(w.sum.Sum(nil)); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// mustWriter is a writer that has written the magic only.
func mustWriter(out *bytes.Buffer) *backupWriter {
	w, err := newBackupWriter(new(bytes.Buffer), backupHeader{}, nil)
	if err != nil {
		panic(err)
	}
	w.sum.Reset()
	w.w = out
	if err := w.write([]byte(backupMagic + backupVersion)); err != nil {
		panic(err)
	}
	return w
}

func packed(block []byte) []byte { return mustWriter(new(bytes.Buffer)).zip.EncodeAll(block, nil) }

// parts takes a backup apart; its sums must be right.
func parts(t testing.TB, data []byte) (all []rawFrame) {
	t.Helper()
	r, err := newBackupReader(bytes.NewReader(data), nil)
	if err == nil {
		defer r.unzip.Close()
		err = r.magic()
	}
	for err == nil && (len(all) == 0 || all[len(all)-1].kind != endFrame) {
		var kind byte
		if kind, err = r.frame(); err == nil {
			all = append(all, rawFrame{kind, bytes.Clone(r.payload)})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func storedRecord(key string, r codec.Record) [2][]byte {
	return [2][]byte{[]byte(key), codec.AppendRecord(nil, []byte(key), &r)}
}

// formatStore has a record of each kind, and a name that is always the same.
func formatStore(h *harness) []byte {
	h.identity.StoreID = "0123456789abcdef"
	h.do(&codec.Set{Key: "a/é", Value: []byte{0xff, 0, 'v'}, TTLMs: 60_000})
	h.do(&codec.Register{Name: "web", ID: "1", Address: "10.0.0.1", Port: 80, Tags: []string{"x"}, TTLMs: 5000, Status: "passing"})
	if err := h.SetService("data", []byte("opaque"), 0); err != nil {
		h.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := h.StreamBackup(&out); err != nil {
		h.t.Fatal(err)
	}
	return out.Bytes()
}

// TestBackupFormat compares what a backup says, unpacked, with
// testdata/backup.golden: a change there needs a new format version. How well
// it is packed is not part of the format. -update writes it.
func TestBackupFormat(t *testing.T) {
	engines(t, func(t *testing.T, h *harness) {
		var out strings.Builder
		fmt.Fprintf(&out, "%q\n", backupMagic+backupVersion)
		for _, p := range parts(t, formatStore(h)) {
			if p.kind == recordsFrame {
				r, err := newBackupReader(nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				if p.payload, err = r.unzip.DecodeAll(p.payload, nil); err != nil {
					t.Fatal(err)
				}
				r.unzip.Close()
			}
			fmt.Fprintf(&out, "%c\n%s", p.kind, hexLines(p.payload))
		}
		golden(t, "testdata/backup.golden", out.String())
	})
}

// TestTheGoldenBackupIsStillRestored: what an older program wrote loads. The
// file is written once for each version of the format, and then stays.
func TestTheGoldenBackupIsStillRestored(t *testing.T) {
	path := "testdata/backup-" + strings.TrimSpace(backupVersion) + ".hex"
	engines(t, func(t *testing.T, h *harness) {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && *update {
			text = []byte(hex.Dump(formatStore(h)))
			err = os.WriteFile(path, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "golden")
		if err := os.WriteFile(file, undump(t, string(text)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := h.Restore(file); err != nil {
			t.Fatal(err)
		}
		if data, err := h.GetService("data"); h.get("a/é") != "\xff\x00v" || string(data) != "opaque" || err != nil {
			t.Errorf("restored %s", h.dump())
		}
	})
}

// undump reads what hex.Dump wrote.
func undump(t *testing.T, text string) (data []byte) {
	t.Helper()
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "|")
		for i, field := range strings.Fields(line) {
			if i == 0 {
				continue // the offset
			}
			b, err := hex.DecodeString(field)
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, b...)
		}
	}
	return data
}
