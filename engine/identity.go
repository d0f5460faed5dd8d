package engine

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// formatVersion is that of everything below a data directory. A program reads
// its own and refuses newer ones.
const formatVersion = 2

// identity says whose data a directory holds. It stands beside the backend's
// files, so that a directory that lost them is not taken for a new one.
type identity struct {
	StoreID string `json:"store_id"`
	Format  int    `json:"format"`
	// Fresh says that the store was never open: its data may be in the making,
	// and nothing was acknowledged.
	Fresh bool `json:"fresh,omitempty"`
	// Feed is how changes were announced last.
	Feed string `json:"feed,omitempty"`
	// Committed is a commit that is surely on disk, noted about once a second:
	// data that lie behind it lost something, or are an older copy.
	Committed uint64 `json:"committed,omitempty"`
	// Reserved is at or above every revision that was ever used.
	Reserved uint64 `json:"reserved,omitempty"`
	// NoSync says that commits were not synced, and Boot since when the system
	// runs that has them in memory.
	NoSync bool   `json:"no_sync,omitempty"`
	Boot   string `json:"boot,omitempty"`
	// Encryption holds the key of an encrypted store.
	Encryption *sealedKey `json:"encryption,omitempty"`
}

// reserveStep is how many revisions are reserved at once.
const reserveStep = 1_000_000

// keptIdentity is the identity of an open store.
type keptIdentity struct {
	identity        // as read at the opening; only change changes it
	dir      string // "": in memory only
	mu       sync.Mutex
}

// change changes the identity and makes it durable.
func (f *keptIdentity) change(fn func(*identity)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn(&f.identity)
	if f.dir == "" {
		return nil
	}
	return f.identity.save(f.dir)
}

// get returns the present identity.
func (f *keptIdentity) get() identity {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.identity
}

// behind tells whether data whose last commit is last, and which were closed
// cleanly or not, lost commits that were acknowledged. Where these were not to
// be synced that is no error.
func (id *identity) behind(dir string, last uint64, clean bool) (bool, error) {
	switch {
	case id.Fresh:
		return false, nil
	case id.NoSync:
		return last < id.Committed || !clean && id.Boot != bootID(), nil
	case last < id.Committed:
		return true, fmt.Errorf("engine: %s is at commit %d, but commit %d was acknowledged: it is an older copy, or files of it were lost; "+
			"put the newest copy of the whole of %s back, or restore a backup", filepath.Join(dir, storeDir), last, id.Committed, dir)
	}
	return false, nil
}

// bootID names the run of the system: what a process left in memory outlives
// it, but not this. Where the system does not tell, no two are the same.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return rand.Text()
	}
	return strings.TrimSpace(string(id))
}

const (
	identityFile = "identity"
	storeDir     = "store"
)

func newIdentity() identity {
	id := make([]byte, 8)
	rand.Read(id) // never fails
	return identity{StoreID: hex.EncodeToString(id), Format: formatVersion}
}

// loadIdentity reads a directory's identity, and gives a new directory one.
func loadIdentity(dir string) (identity, error) {
	path := filepath.Join(dir, identityFile)
	id, err := readIdentity(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return createIdentity(dir, path)
	}
	if err != nil {
		return identity{}, err
	}
	if !id.Fresh && !hasData(dir) {
		return identity{}, fmt.Errorf("engine: %s belongs to store %s, but its data in %s is gone; "+
			"restore it from a backup, or remove %s to begin an empty store", dir, id.StoreID, filepath.Join(dir, storeDir), path)
	}
	return id, nil
}

// readIdentity reads a directory's identity; of one in another format it returns
// the format too.
func readIdentity(dir string) (identity, error) {
	path := filepath.Join(dir, identityFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return identity{}, fmt.Errorf("engine: %w", err)
	}
	var id identity
	if err := json.Unmarshal(data, &id); err != nil || id.StoreID == "" || !wholeFile(data) {
		return identity{}, fmt.Errorf("engine: %s is damaged; put a copy of it back, or restore the data directory from a backup", path)
	}
	if id.Format != formatVersion {
		return id, fmt.Errorf("engine: %s has format %d, this program reads %d: "+
			"make a backup with the sett that wrote it, and restore that", dir, id.Format, formatVersion)
	}
	return id, nil
}

func createIdentity(dir, path string) (identity, error) {
	if hasData(dir) {
		return identity{}, fmt.Errorf("engine: %s has data, but %s is gone; "+
			"put it back, or restore the data directory from a backup", dir, path)
	}
	id := newIdentity()
	id.Fresh = true
	return id, id.save(dir)
}

// save writes the identity: as fresh before there is any data, and for good when
// there is, since a directory that has one without the other is refused.
func (id identity) save(dir string) error {
	data, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, identityFile), func(f *os.File) error {
		_, err := f.Write(appendFileSum(data))
		return err
	})
}

// appendFileSum adds a last field to a JSON object: the CRC-32C of what stood there
// before. A line feed ends the file.
func appendFileSum(object []byte) []byte {
	sum := crc32.Checksum(object, castagnoli)
	return fmt.Appendf(object[:len(object)-1:len(object)-1], `%s%d}`+"\n", fileSum, sum)
}

// wholeFile reports whether a file that appendFileSum made is as it was. One
// without a sum, as the first versions wrote it, counts as whole.
func wholeFile(data []byte) bool {
	at := bytes.LastIndex(data, []byte(fileSum))
	if at < 0 {
		return true
	}
	sum := crc32.Checksum(append(data[:at:at], '}'), castagnoli)
	return string(data[at:]) == fmt.Sprintf("%s%d}\n", fileSum, sum)
}

const fileSum = `,"sum":`

// least is the commit that its data must have reached, if nothing was lost that
// may not be lost.
func (id *identity) least() uint64 {
	if id.Fresh || id.NoSync {
		return 0
	}
	return id.Committed
}

// lossy says that the last commits may be gone, also out of order: they were not
// synced, and the system that had them in memory was started again.
func (id *identity) lossy() bool { return id.NoSync && id.Boot != bootID() }

// hasData tells whether a directory holds data of a store, or what is left of
// them.
func hasData(dir string) bool { return holdsData(filepath.Join(dir, storeDir)) }

func holdsData(store string) bool {
	if _, err := os.Stat(filepath.Join(store, manifestFile)); err == nil {
		return true
	}
	tables, _ := namesOf(store, ".sst")
	logs, _ := namesOf(store, ".mem")
	return len(tables)+len(logs) > 0
}

// writeFile makes a file appear whole or not at all, also through a power
// loss: a temporary file, sync, rename, and the directory's sync.
func writeFile(path string, fill func(*os.File) error) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := fill(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
