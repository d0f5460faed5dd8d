package engine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func sealedBackup(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := writeBackup(&out, backupHeader{StoreID: "x", Revision: 100, Epoch: 1}, testKey, func(add func(key, value []byte) error) error {
		_, err := readBackup(bytes.NewReader(largeBackup(t)), nil, add)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestASealedBackupTellsWhatIsWrong: no key, a wrong key and damage are three
// things.
func TestASealedBackupTellsWhatIsWrong(t *testing.T) {
	good := sealedBackup(t)
	if info, err := VerifyBackupKey(bytes.NewReader(good), testKey); err != nil || info.Keys != 40 || info.Encryption != backupCipher {
		t.Fatalf("%+v, %v", info, err)
	}
	if info, err := VerifyBackup(bytes.NewReader(good)); !errors.Is(err, ErrBackupSealed) || info.Size != int64(len(good)) || info.Revision != 100 {
		t.Errorf("without a key: %+v, %v", info, err)
	}
	if _, err := VerifyBackupKey(bytes.NewReader(good), otherKey); !errors.Is(err, ErrKeyWrong) || errors.Is(err, ErrBackupDamaged) {
		t.Errorf("with another key: %v", err)
	}
	if info, err := ReadBackupHeader(bytes.NewReader(good)); err != nil || info.StoreID != "x" || info.Encryption == "" {
		t.Errorf("its header: %+v, %v", info, err)
	}
	for i := 0; i < len(good); i += 1 + len(good)/150 {
		bad := slices.Clone(good)
		bad[i] ^= 1 << (i % 8)
		for _, key := range [][]byte{nil, testKey, otherKey} {
			_, err := VerifyBackupKey(bytes.NewReader(bad), key)
			wrongKey := bytes.Equal(key, otherKey) && errors.Is(err, ErrKeyWrong)
			if !errors.Is(err, ErrBackupDamaged) && !errors.Is(err, ErrBackupForeign) && !wrongKey {
				t.Fatalf("byte %d flipped: %v", i, err)
			}
		}
		if _, err := VerifyBackupKey(bytes.NewReader(good[:i]), testKey); !errors.Is(err, ErrBackupCut) && i > 0 {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

// TestASealedBackupCannotBeRewritten: whoever can mend every sum, but has no
// key, can still not change, move, repeat or leave out anything.
func TestASealedBackupCannotBeRewritten(t *testing.T) {
	all := parts(t, sealedBackup(t))
	other := parts(t, sealedBackup(t))
	last := len(all) - 1
	for i := range all[1:] { // one key for two of them would give both away
		if bytes.Equal(all[1+i].payload[:10], other[1+i].payload[:10]) {
			t.Errorf("part %d is encrypted alike in two backups", 1+i)
		}
	}
	if last < 4 {
		t.Fatalf("only %d parts", len(all))
	}
	changed := slices.Clone(all)
	changed[1].payload = slices.Clone(changed[1].payload)
	changed[1].payload[100] ^= 1
	swapped := slices.Clone(all)
	swapped[1], swapped[2] = swapped[2], swapped[1]
	header := slices.Clone(all)
	header[0].payload = bytes.Replace(header[0].payload, []byte("store_id\xa1x"), []byte("store_id\xa1y"), 1)
	kind := slices.Clone(all)
	kind[last-1].kind = endFrame
	for what, frames := range map[string][]rawFrame{
		"a part changed":         changed,
		"a part left out":        slices.Delete(slices.Clone(all), 1, 2),
		"the last part left out": slices.Delete(slices.Clone(all), last-1, last),
		"a part twice":           slices.Insert(slices.Clone(all), 1, all[1]),
		"two parts swapped":      swapped,
		"another header":         header,
		"another backup's part":  append(append(slices.Clone(all[:1]), other[1]), all[2:]...),
		"another backup's end":   append(slices.Clone(all[:last]), other[last]),
		"ended early":            kind[:last],
	} {
		_, err := VerifyBackupKey(bytes.NewReader(assemble(frames...)), testKey)
		if !errors.Is(err, ErrBackupDamaged) || !strings.Contains(err.Error(), "seal") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := VerifyBackupKey(bytes.NewReader(assemble(all...)), testKey); err != nil {
		t.Errorf("put together as it was: %v", err)
	}
}

// TestBackupsBetweenStores of every kind: the keys of the backup and of the
// store that takes it have nothing to do with each other.
func TestBackupsBetweenStores(t *testing.T) {
	backups := map[string]struct {
		path string
		key  []byte
	}{}
	for name, o := range map[string]func(*Options){
		"plain":            func(*Options) {},
		"encrypted":        withKey(testKey),
		"told to be plain": func(o *Options) { o.EncryptionKey, o.PlainBackups = testKey, true },
	} {
		h := open(t, Badger, o)
		h.sing()
		path := h.fileOf()
		key := h.options.backupKey()
		if found := singing(t, filepath.Dir(path)); key != nil && len(found) > 0 {
			t.Errorf("%s: readable: %q", name, found)
		}
		h.close()
		stopped := filepath.Join(t.TempDir(), "stopped")
		f, err := os.Create(stopped)
		if err == nil {
			_, err = BackupDir(h.options.Dir, f, BackupOptions{EncryptionKey: h.options.EncryptionKey, Plain: h.options.PlainBackups})
		}
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		backups[name] = struct {
			path string
			key  []byte
		}{path, key}
		backups[name+", of a stopped store"] = struct {
			path string
			key  []byte
		}{stopped, key}
	}
	for name, b := range backups {
		for _, key := range [][]byte{nil, testKey, otherKey} {
			t.Run(fmt.Sprintf("%s to %d bytes", name, len(key)), func(t *testing.T) {
				dir := t.TempDir()
				if _, err := RestoreDir(b.path, dir, RestoreOptions{EncryptionKey: key, BackupKey: b.key}); err != nil {
					t.Fatal(err)
				}
				h := open(t, Badger, withKey(key), func(o *Options) { o.Dir = dir })
				if h.get("canary-key/2") != "canary-value" {
					t.Error("another value")
				}
				h.close()
				if found := singing(t, dir); (len(found) > 0) != (key == nil) {
					t.Errorf("readable: %q", found)
				}
			})
		}
	}
}
