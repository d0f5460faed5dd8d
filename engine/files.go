package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
)

// What Badger's directory holds, as far as it must be looked at before Badger
// does: it repairs by deleting.
const (
	manifestFile = "MANIFEST"
	registryFile = "KEYREGISTRY"
)

// namesOf lists the files of a directory whose names end with an extension, by
// name.
func namesOf(dir, extension string) (names []string, err error) {
	files, err := os.ReadDir(dir)
	for _, f := range files {
		if filepath.Ext(f.Name()) == extension {
			names = append(names, filepath.Join(dir, f.Name()))
		}
	}
	return names, err
}

// checkDir refuses a database whose MANIFEST is missing: Badger would take it
// for a new one and delete every table without a word. It returns the empty
// write-ahead logs, which Badger leaves if it is killed while it deletes one and
// then refuses to open.
func checkDir(dir string) (empty []string, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	manifest := false
	var data []string
	for _, f := range files {
		switch ext := filepath.Ext(f.Name()); {
		case f.Name() == manifestFile:
			manifest = true
		case ext == ".sst" || ext == ".vlog" || ext == ".mem":
			data = append(data, f.Name())
			if info, err := f.Info(); err != nil {
				return nil, err
			} else if ext == ".mem" && info.Size() == 0 {
				empty = append(empty, f.Name())
			}
		}
	}
	if !manifest && len(data) > 0 {
		return nil, fmt.Errorf("the file %s is missing, but there is data (%d files, such as %s), which opening would delete: "+
			"put %s back, or restore a backup, or move the directory away to start empty",
			manifestFile, len(data), data[0], manifestFile)
	}
	return empty, nil
}

// removeEmpty removes logs that hold nothing.
func removeEmpty(dir string, names []string, log *slog.Logger) error {
	for _, name := range names {
		log.Warn("removing an empty write-ahead log, as a kill may leave behind", "dir", dir, "file", name)
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// checkRegistry proves the checksums in the file of Badger's data keys. Badger
// does, too, but believes a length first, and takes a damaged beginning for
// another key.
//
//	IV (16) | a known text, encrypted (12) | entries of length (4), CRC-32C (4), data key
func checkRegistry(dir string) error {
	name := filepath.Join(dir, registryFile)
	data, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		return nil // the keys that are then missing will be missed
	}
	if err != nil {
		return err
	}
	const begin, head = 28, 8
	bad := len(data) < begin
	at := begin
	for ; !bad && at < len(data); at += head {
		rest := data[at:]
		if bad = len(rest) < head; bad {
			break
		}
		size := int64(binary.BigEndian.Uint32(rest))
		if bad = size > int64(len(rest)-head); bad {
			break
		}
		if bad = crc32.Checksum(rest[head:head+size], castagnoli) != binary.BigEndian.Uint32(rest[4:]); bad {
			break
		}
		at += int(size)
	}
	if bad {
		return fmt.Errorf("%s is damaged at byte %d: put an undamaged copy of it back, or restore a backup", name, min(at, len(data)))
	}
	return nil
}

// checkManifestTail refuses a MANIFEST that cannot be read from a byte on,
// though something whole follows. Badger cuts it off there, as is right for
// what a crash has left half written, and then deletes all tables that it does
// not know any more.
//
//	... | changes of length (4), CRC-32C (4), changes
func checkManifestTail(name string, end int64) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	const head = 8
	for at := end + 1; at+head < int64(len(data)); at++ {
		size := int64(binary.BigEndian.Uint32(data[at:]))
		if size == 0 || size > int64(len(data))-at-head {
			continue
		}
		if crc32.Checksum(data[at+head:at+head+size], castagnoli) == binary.BigEndian.Uint32(data[at+4:]) {
			return fmt.Errorf("%s is damaged at byte %d, but goes on at byte %d: put an undamaged copy of the whole directory back, or restore a backup", name, end, at)
		}
	}
	return nil
}
