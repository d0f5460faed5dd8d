package engine

import (
	"path/filepath"
	"testing"
)

// A first start that was killed at any point begins again: nothing was
// acknowledged by then.
func TestAFirstStartThatWasCutOffBeginsAgain(t *testing.T) {
	for name, partly := range map[string]func(t *testing.T, dir string){
		"before there is a backend": func(*testing.T, string) {},
		"before the first commit": func(t *testing.T, dir string) {
			b, err := openBadger(filepath.Join(dir, storeDir), badgerOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			id, err := loadIdentity(dir)
			if err != nil {
				t.Fatal(err)
			}
			partly(t, dir)
			h := open(t, Badger, func(o *Options) { o.Dir = dir })
			if got := h.Status().StoreID; got != id.StoreID {
				t.Errorf("the store is %s, it began as %s", got, id.StoreID)
			}
			h.set("k", "v")
			h.reopen()
			if h.identity.Fresh {
				t.Error("a store that was open still counts as fresh")
			}
		})
	}
}
