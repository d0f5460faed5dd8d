package engine

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// TestStoredFormats compares every byte that a small store keeps with
// testdata/formats.golden: a change there is a change of the data format, and
// needs a new format version. -update writes it. ([TestBackupFormat] does the
// same for backups.)
func TestStoredFormats(t *testing.T) {
	h := open(t, Badger, func(o *Options) { o.FeedEncoding = codec.Msgpack })
	h.identity.StoreID = "0123456789abcdef"
	h.do(&codec.Set{Key: "a/é", Value: []byte{0xff, 0, 'v'}, TTLMs: 60_000})
	h.Announced(1)
	batch := &codec.Batch{Ops: []codec.Command{
		&codec.Set{Key: "b", Value: []byte{}},
		&codec.Register{Name: "web", ID: "1", Address: "10.0.0.1", Port: 80, Tags: []string{"x"}, Meta: map[string]string{"k": "v"}, TTLMs: 5000, Note: "n", Status: "passing"},
	}}
	if _, err := h.submit("id-1", "batch.apply", batch, []byte("payload")); err != nil {
		t.Fatal(err)
	}
	if err := h.SetService("data", []byte("opaque"), 0); err != nil {
		t.Fatal(err)
	}
	h.time.advance(300 * time.Millisecond)
	h.do(&codec.Delete{Key: "b"})

	var out strings.Builder
	st := h.state.Load()
	v := st.backend.View(st.commit)
	err := v.Scan(nil, func(key, value []byte) error {
		fmt.Fprintf(&out, "%q\n%s\n", key, hexLines(value))
		return nil
	})
	v.Close()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/formats.golden", out.String())
}

// hexLines shows bytes as hexadecimal and as text.
func hexLines(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		n := min(len(b), 24)
		shown := strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return '.'
			}
			return r
		}, string(bytes.ToValidUTF8(b[:n], []byte("."))))
		fmt.Fprintf(&out, "  %-48x  %s\n", b[:n], shown)
		b = b[n:]
	}
	return out.String()
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		compareLines(t, string(want), got)
	}
}
