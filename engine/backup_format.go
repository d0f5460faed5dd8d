package engine

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// A backup is
//
//	magic | frame of the header | frames of records ... | frame of the end | SHA-256
//
// where the sum is over everything before it, and a frame is
//
//	kind (1) | size of the payload (4) | CRC-32C of the payload (4) | CRC-32C of these nine bytes (4) | payload
//
// with little-endian numbers. The header and the end are msgpack maps. Records
// are packed by zstd, each frame by itself, into rows of
//
//	length of the key (uvarint) | stored key | length of the record (uvarint) | stored record
//
// in the order of stored keys; a stored record has a checksum of its own (see
// [codec.Record]).
//
// # Why so
//
// A frame is small and is checked before anything in it is looked at: so a
// reader needs little memory whatever a file says, tells damage from a file
// that was cut off, and says where. The sum over all sees frames that were
// swapped or left out. The header's "encryption" says whether the payloads of
// the other frames are sealed, and how ([backupSeal]); a reader refuses what it
// does not know there.
const (
	backupMagic   = "sett backup "
	backupVersion = "2\n" // of the format; 1 was neither packed nor in frames
)

// Kinds of frame.
const (
	headerFrame  = 'H'
	recordsFrame = 'R'
	endFrame     = 'E'
)

const (
	frameHead = 13
	// blockBytes is how much is packed together. Twice as much made files 1 %
	// smaller.
	blockBytes = 512 << 10
	// maxBlock bounds a frame's payload, packed and unpacked: a block that is
	// not yet full and one more record, the largest.
	maxBlock = blockBytes + maxBackendKey + maxBackendValue + 2*binary.MaxVarintLen64
	// maxPayload is that of a sealed frame.
	maxPayload = maxBlock + sealOverhead
)

// Why a backup is refused.
var (
	// ErrBackupForeign says that a file is no backup, or one of another format.
	ErrBackupForeign = errors.New("this is no backup of sett")
	// ErrBackupCut says that a backup ends too early: it was not written or not
	// copied to its end.
	ErrBackupCut = errors.New("the backup is cut off")
	// ErrBackupDamaged says that a backup is not as it was written.
	ErrBackupDamaged = errors.New("the backup is damaged")
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// backupHeader says whose state a backup holds.
type backupHeader struct {
	StoreID    string `wire:"store_id"`
	Revision   uint64 `wire:"revision"`
	Epoch      uint64 `wire:"epoch"`
	TimeMs     int64  `wire:"time_ms"`              // when it was taken, by the store's clock
	Version    string `wire:"version,omitempty"`    // of the program that wrote it
	Encryption string `wire:"encryption,omitempty"` // of the other frames: "" or [backupCipher]
	Salt       []byte `wire:"salt,omitempty"`       // makes their key this backup's own
	Key        string `wire:"key,omitempty"`        // tells whether a key is the right one
}

// backupCounts stand at the end.
type backupCounts struct {
	Keys      int64 `wire:"keys"`
	Instances int64 `wire:"instances"`
	Bytes     int64 `wire:"bytes"` // of stored keys and records
}

// BackupInfo is what a backup says of itself.
type BackupInfo struct {
	StoreID   string `wire:"store_id"`
	Revision  uint64 `wire:"revision"`
	Epoch     uint64 `wire:"epoch"`
	TimeMs    int64  `wire:"time_ms"` // when it was taken, by the store's clock
	Version   string `wire:"version,omitempty"`
	Keys      int64  `wire:"keys"`
	Instances int64  `wire:"instances"`
	Bytes     int64  `wire:"bytes"`  // of the records, unpacked
	Size      int64  `wire:"size"`   // of the whole backup
	SHA256    string `wire:"sha256"` // of the whole backup, as sha256sum gives it
	// Encryption is the cipher of an encrypted backup.
	Encryption string `wire:"encryption,omitempty"`
}

// Time is when the backup was taken, by the store's clock.
func (i *BackupInfo) Time() time.Time { return time.UnixMilli(i.TimeMs) }

// tell fills in what the header says.
func (i *BackupInfo) tell(h *backupHeader) {
	i.StoreID, i.Revision, i.Epoch, i.TimeMs, i.Version = h.StoreID, h.Revision, h.Epoch, h.TimeMs, h.Version
	i.Encryption = h.Encryption
}

// count fills in what the end says.
func (i *BackupInfo) count(c backupCounts) {
	i.Keys, i.Instances, i.Bytes = c.Keys, c.Instances, c.Bytes
}

// add counts a record.
func (c *backupCounts) add(key, value []byte) {
	if isKey(string(key)) {
		c.Keys++
	} else {
		c.Instances++
	}
	c.Bytes += int64(len(key) + len(value))
}

// head is what stands before a frame's payload.
func appendHead(dst []byte, kind byte, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, kind)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, crc32.Checksum(payload, castagnoli))
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}
