package engine

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

var (
	otherKey = bytes.Repeat([]byte("k"), 16)
	// canaries are in nothing but what is encrypted.
	canaries = []string{"canary-key", "canary-value", "canary-name", "canary-note", "canary-id", "canary of a key"}
)

func withKey(key []byte) func(*Options) {
	return func(o *Options) { o.EncryptionKey = key }
}

// sing puts canaries wherever a store keeps something.
func (h *harness) sing() {
	h.t.Helper()
	h.do(&codec.Set{Key: "canary-key/1", Value: []byte(strings.Repeat("canary-value ", 50))})
	h.do(&codec.Set{Key: "canary-key/2", Value: []byte("canary-value"), TTLMs: 60_000})
	h.do(&codec.Register{Name: "canary-name", ID: "1", Note: "canary-note"})
	if _, err := h.submit("canary-id", "kv.delete", &codec.Delete{Key: "canary-key/1"}, []byte("x")); err != nil {
		h.t.Fatal(err)
	}
}

// singing lists the files below a directory that hold a canary.
func singing(t *testing.T, dir string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, canary := range canaries {
			if bytes.Contains(data, []byte(canary)) {
				found = append(found, path+": "+canary)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestNothingIsReadable: with a key, no file of a store says what is in it,
// while it runs and afterwards, nor does its backup or its log.
func TestNothingIsReadable(t *testing.T) {
	for name, key := range map[string][]byte{"plain": nil, "encrypted": testKey} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := open(t, Badger, withKey(key), func(o *Options) {
				o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			h.sing()
			running := t.TempDir()
			copyDir(t, running, h.options.Dir)
			h.crash()
			h.reopen()
			h.sing()
			path := h.fileOf()
			h.close()
			before := singing(t, h.options.Dir)
			_, wrong := Open(Options{Dir: h.options.Dir, EncryptionKey: otherKey})
			for what, found := range map[string][]string{
				"running": singing(t, running), "closed": before, "its backup": singing(t, filepath.Dir(path)),
			} {
				if (len(found) > 0) != (key == nil) {
					t.Errorf("%s: %q", what, found)
				}
			}
			for _, canary := range canaries {
				if strings.Contains(log.String(), canary) || wrong == nil || strings.Contains(wrong.Error(), canary) {
					t.Errorf("%s is in the log or in an error: %v\n%s", canary, wrong, log.String())
				}
			}
			h.open()
			if h.get("canary-key/2") != "canary-value" {
				t.Error("the store reads something else")
			}
		})
	}
}

// TestTheKeyMustFit: whatever key is given in place of the right one, or none,
// the error says which it is, and nothing is changed.
func TestTheKeyMustFit(t *testing.T) {
	for what, c := range map[string]struct {
		has, given []byte
		want       error
	}{
		"no key":                  {testKey, nil, ErrKeyNeeded},
		"wrong key":               {testKey, otherKey, ErrKeyWrong},
		"a key for what is plain": {nil, testKey, ErrNotEncrypted},
	} {
		t.Run(what, func(t *testing.T) {
			h := open(t, Badger, withKey(c.has))
			h.set("a", "1")
			h.close()
			dir, path, before := h.options.Dir, filepath.Join(t.TempDir(), "backup"), t.TempDir()
			copyDir(t, before, dir)
			from := open(t, Memory)
			from.set("b", "2")
			_, opened := Open(Options{Dir: dir, EncryptionKey: c.given})
			_, checked := CheckDir(dir, c.given)
			_, backed := BackupDir(dir, new(bytes.Buffer), BackupOptions{EncryptionKey: c.given})
			_, restored := RestoreDir(from.fileOf(), dir, RestoreOptions{Replace: true, EncryptionKey: c.given})
			for _, err := range []error{opened, checked, backed, restored} {
				if !errors.Is(err, c.want) || !IsKeyError(err) || !strings.Contains(err.Error(), dir) {
					t.Errorf("%v, want %v of %s", err, c.want, dir)
				}
			}
			sameDir(t, what, dir, before)
			h.open()
			if err := h.Backup(path); err != nil || h.get("a") != "1" {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestKeysOfOtherSizesAreRefused(t *testing.T) {
	for _, size := range []int{0, 1, 15, 17, 31, 33, 64} {
		_, err := Open(Options{Dir: t.TempDir(), EncryptionKey: make([]byte, size)})
		if err == nil || !strings.Contains(err.Error(), "16, 24 or 32 bytes") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if _, err := Open(Options{Kind: Memory, EncryptionKey: testKey}); err == nil {
		t.Error("a memory engine takes a key")
	}
}

// TestAFirstStartThatWasCutOffTakesAKey: there is nothing yet that could be in
// plain text.
func TestAFirstStartThatWasCutOffTakesAKey(t *testing.T) {
	dir := t.TempDir()
	if _, err := loadIdentity(dir); err != nil {
		t.Fatal(err)
	}
	h := open(t, Badger, withKey(testKey), func(o *Options) { o.Dir = dir })
	h.sing()
	h.reopen()
	h.close()
	if found := singing(t, dir); len(found) > 0 {
		t.Errorf("readable: %q", found)
	}
}

// TestSecretsDiffer: by purpose and by store, and stay the same.
func TestSecretsDiffer(t *testing.T) {
	h, other := open(t, Badger, withKey(testKey)), open(t, Badger, withKey(testKey))
	before := h.Secret("broker")
	if len(before) != 32 || bytes.Equal(before, h.Secret("badger")) || bytes.Equal(before, other.Secret("broker")) {
		t.Error("two purposes or two stores have the same key")
	}
	h.reopen()
	if !bytes.Equal(before, h.Secret("broker")) {
		t.Error("the key is another after a restart")
	}
	if open(t, Badger).Secret("broker") != nil {
		t.Error("a store that is not encrypted has a key")
	}
}

func TestRotateKey(t *testing.T) {
	h := open(t, Badger, withKey(testKey))
	h.set("a", "1")
	secret, before, path := h.Secret("broker"), h.options.Dir, h.fileOf()
	if err := RotateKey(before, testKey, otherKey); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("of a running store: %v", err)
	}
	h.close()
	for what, err := range map[string]error{
		"the wrong old key": RotateKey(before, otherKey, testKey),
		"the same key":      RotateKey(before, testKey, testKey),
		"no key":            RotateKey(before, testKey, nil),
		"no store":          RotateKey(t.TempDir(), testKey, otherKey),
		"a store in plain":  RotateKey(stopped(t, 1), testKey, otherKey),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if err := RotateKey(before, testKey, otherKey); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(h.options); !errors.Is(err, ErrKeyWrong) {
		t.Errorf("the old key still opens it: %v", err)
	}
	h.options.EncryptionKey = otherKey
	h.open()
	if h.get("a") != "1" || !bytes.Equal(secret, h.Secret("broker")) {
		t.Error("the new key opens something else")
	}
	if err := h.Restore(path); !errors.Is(err, ErrKeyWrong) {
		t.Errorf("a backup with the old key: %v", err)
	}
}

// TestDataKeysChange: tables and logs of several data keys are read together.
func TestDataKeysChange(t *testing.T) {
	// Badger counts in seconds, on its own clock: this long is over at once.
	h := open(t, Badger, withKey(testKey), func(o *Options) { o.EncryptionRotation = time.Nanosecond })
	for _, key := range []string{"a", "b", "c"} {
		h.set(key, key)
		h.reopen()
	}
	h.crash()
	info, err := os.Stat(filepath.Join(h.options.Dir, storeDir, registryFile))
	if err != nil || info.Size() < 28+3*50 {
		t.Errorf("the registry has %d bytes, too few for several keys: %v", info.Size(), err)
	}
	for _, key := range []string{"a", "b", "c"} {
		if h.get(key) != key {
			t.Errorf("%s is lost", key)
		}
	}
}

// TestErrorsAreDiscreet: what is damaged inside is logged without its key.
func TestErrorsAreDiscreet(t *testing.T) {
	for name, key := range map[string][]byte{"plain": nil, "encrypted": testKey} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := open(t, Badger, withKey(key), func(o *Options) {
				o.CacheBytes, o.Log = -1, slog.New(slog.NewTextHandler(&log, nil))
			})
			h.set("canary-key", "canary-value")
			h.wrapBackend(func(b backend) backend { return tornBackend{b} })
			_, err := h.Get("canary-key")
			if err == nil || !strings.Contains(err.Error()+log.String(), "damaged") {
				t.Fatalf("a torn record: %v, logged %s", err, log.String())
			}
			if told := strings.Contains(err.Error()+log.String(), "canary"); told != (key == nil) {
				t.Errorf("%v, logged %s", err, log.String())
			}
		})
	}
}

// tornBackend gives half of each record.
type tornBackend struct{ backend }

func (b tornBackend) View(ts uint64) view { return tornView{b.backend.View(ts)} }

type tornView struct{ view }

func (v tornView) Get(key, dst []byte) ([]byte, bool, error) {
	value, ok, err := v.view.Get(key, dst)
	return value[:len(value)/2], ok, err
}
