package engine

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestBackupDirChangesNothing in the directory of a store that was closed, was
// killed with half a commit in its log, or that a restore has left beside its
// place: every file has its bytes, its size and its times.
func TestBackupDirChangesNothing(t *testing.T) {
	for name, key := range map[string][]byte{"plain": nil, "encrypted": testKey} {
		t.Run(name, func(t *testing.T) {
			h := open(t, Badger, withKey(key))
			h.filled()
			killed := t.TempDir()
			copyDir(t, killed, h.options.Dir)
			torn := only(t, filepath.Join(killed, storeDir), "*.mem")
			edit(t, torn, func(b []byte) []byte { return append(withoutZeros(b), "a commit"...) })
			var live bytes.Buffer
			if err := h.StreamBackup(&live); err != nil {
				t.Fatal(err)
			}
			want, err := VerifyBackupKey(bytes.NewReader(live.Bytes()), key)
			if err != nil {
				t.Fatal(err)
			}
			h.close()
			aside := t.TempDir()
			copyDir(t, aside, h.options.Dir)
			if err := os.Rename(filepath.Join(aside, storeDir), filepath.Join(aside, storeDir+replacedSuffix)); err != nil {
				t.Fatal(err)
			}
			for what, dir := range map[string]string{"closed": h.options.Dir, "killed": killed, "put aside": aside} {
				before := filesIn(t, dir)
				got, err := BackupDir(dir, new(bytes.Buffer), BackupOptions{EncryptionKey: key})
				if err != nil || got.Keys != want.Keys || got.Instances != want.Instances || got.Revision != want.Revision {
					t.Errorf("%s: %+v, %v; the running store had %+v", what, got, err, want)
				}
				after := filesIn(t, dir)
				for name, file := range before {
					if after[name] != file {
						t.Errorf("%s: %s was changed", what, name)
					}
				}
				if len(after) != len(before) {
					t.Errorf("%s: there are %d files, there were %d", what, len(after), len(before))
				}
			}
		})
	}
}

// filesIn tells all of each file and folder below a directory that may not
// change.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		data := []byte(nil)
		if !entry.IsDir() {
			data, err = os.ReadFile(name)
		}
		files[name] = info.Mode().String() + info.ModTime().String() + string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
