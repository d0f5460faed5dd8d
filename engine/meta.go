package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/settkv/sett/codec"
)

// meta is what each commit stores beside its changes.
type meta struct {
	revision  uint64
	epoch     uint64
	nowMs     uint64
	announced uint64 // every change up to here was announced
	clean     uint64 // how the store was left: 0 (in use), leftClosed or leftRestored
	store     string // whose they are; "": whose directory it is
}

const (
	leftClosed   = 1 // nothing came after this commit
	leftRestored = 2 // its contents are a backup's: whoever opens it begins a new epoch
)

func (m *meta) fields() []*uint64 {
	return []*uint64{&m.revision, &m.epoch, &m.nowMs, &m.announced, &m.clean}
}

// metaWrite is the write of a commit that keeps the counters.
func (s *store) metaWrite(c *counters, clean bool) write {
	m := meta{revision: c.revision, epoch: c.epoch, nowMs: uint64(c.nowMs), announced: s.outbox.lastAnnounced(), store: s.identity.StoreID}
	if clean {
		m.clean = leftClosed
	}
	return m.write()
}

func (m *meta) write() write {
	var data []byte
	for _, field := range m.fields() {
		data = binary.AppendUvarint(data, *field)
	}
	data = append(data, m.store...)
	return write{key: []byte(metaKey), value: codec.Seal(data, []byte(metaKey))}
}

// readMeta returns the counters of the last commit; fresh says that there was
// none yet.
func readMeta(b backend) (m meta, fresh bool, err error) {
	if b.Last() == 0 {
		return meta{}, true, nil
	}
	v := b.View(b.Last())
	defer v.Close()
	stored, ok, err := v.Get([]byte(metaKey), nil)
	if err != nil {
		return meta{}, false, err
	}
	if !ok {
		return meta{}, false, errors.New("engine: the counters are missing; restore the data directory from a backup")
	}
	data, err := codec.Unseal([]byte(metaKey), stored)
	if err != nil {
		return meta{}, false, err
	}
	for _, field := range m.fields() {
		n, size := binary.Uvarint(data)
		if size <= 0 {
			return meta{}, false, fmt.Errorf("engine: the counters are damaged; restore the data directory from a backup")
		}
		*field, data = n, data[size:]
	}
	m.store = string(data)
	return m, false, nil
}

// belongs refuses data in the directory of another store.
func (m *meta) belongs(dir string, id *identity) error {
	if m.store == "" || m.store == id.StoreID {
		return nil
	}
	return fmt.Errorf("engine: the data in %s are of store %s, but %s says %s: files of two stores were mixed; "+
		"put the whole data directory of one of them back, or restore a backup",
		filepath.Join(dir, storeDir), m.store, filepath.Join(dir, identityFile), id.StoreID)
}
