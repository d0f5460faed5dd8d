package engine

import (
	"errors"
	"testing"

	"github.com/settkv/sett/codec"
)

// FuzzCursor: whatever a client sends as a cursor, the answer is a page or
// "invalid", and never a key outside of the prefix.
func FuzzCursor(f *testing.F) {
	r := codec.List{Prefix: "k", Limit: 2, Delimiter: "/"}
	for _, c := range []cursor{{Epoch: startMs, Revision: 1, Filter: listFilter(&r), After: "k1"}, {After: "k/", Folded: true}, {}} {
		f.Add(c.String())
	}
	f.Add("gA")
	f.Add("%%%")
	h := open(f, Memory)
	for _, key := range []string{"a", "k", "k/1", "k/2", "k1", "k2/x", "z"} {
		h.set(key, "1")
	}
	f.Fuzz(func(t *testing.T, text string) {
		// As it is, and as the forger would send it who knows the rest.
		forged := cursor{Epoch: startMs, Revision: 1, Filter: listFilter(&r), After: text, Folded: len(text)%2 == 0}
		for _, c := range []string{text, forged.String()} {
			for _, reverse := range []bool{false, true} {
				r := r
				r.Cursor, r.Reverse = c, reverse
				if r.Validate() != nil {
					continue
				}
				page, err := h.ListKeys(&r, codec.Fit{})
				if err != nil {
					if !errors.Is(err, codec.ErrInvalid) {
						t.Fatalf("%q: %v", c, err)
					}
					continue
				}
				for _, e := range page.Entries {
					if e.Key[0] != 'k' {
						t.Fatalf("%q shows %q", c, e.Key)
					}
				}
			}
			get, names := &codec.GetService{Name: "web", Cursor: c}, &codec.ListServices{Cursor: c}
			if get.Validate() != nil || names.Validate() != nil {
				continue
			}
			if _, err := h.ReadService(get, codec.Fit{}); err != nil && !errors.Is(err, codec.ErrInvalid) {
				t.Fatalf("svc.get: %q: %v", c, err)
			}
			if _, err := h.ReadServices(names, codec.Fit{}); err != nil && !errors.Is(err, codec.ErrInvalid) {
				t.Fatalf("svc.list: %q: %v", c, err)
			}
		}
	})
}
