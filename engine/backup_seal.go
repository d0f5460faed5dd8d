package engine

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/settkv/sett/codec"
)

// backupSeal encrypts the frames of one backup, each by itself in AES-256-GCM.
//
// # Keys
//
// The key is derived from the store's master key and a random salt, so no two
// backups share one, and a backup can be read with the master key alone.
//
// # Nonces
//
// A nonce is the number of the frame (11 bytes) and whether it is the last (1):
// so no frame can be moved, left out, repeated or cut off at the end. With each
// is authenticated the header, which is not encrypted, and the frame's kind.
// The checksums of frames are over what is encrypted: damage is seen before any
// key is tried, and a wrong key is told apart from damage by the header's "key".
type backupSeal struct {
	gcm    cipher.AEAD
	header []byte // and room for the kind
	frames uint64
}

const (
	backupCipher = "aes-256-gcm"
	sealOverhead = 16 // what a sealed payload is longer
	saltBytes    = 32
)

// ErrBackupSealed says that a backup is encrypted and was read without its key.
// All sums in it are right, but what it holds nobody has seen.
var ErrBackupSealed = fmt.Errorf("the backup cannot be read: %w", ErrKeyNeeded)

var errBackupKey = fmt.Errorf("the backup cannot be read: %w", ErrKeyWrong)

// seal has a header say that its backup is encrypted.
func (h *backupHeader) seal(master []byte) {
	h.Encryption, h.Salt = backupCipher, make([]byte, saltBytes)
	rand.Read(h.Salt) // never fails
	h.Key = keyID(master, h.Salt)
}

// newBackupSeal seals and opens the frames after a header of these bytes.
func newBackupSeal(master []byte, h *backupHeader, encoded []byte) *backupSeal {
	return &backupSeal{gcm: newGCM(derive(master, h.Salt, "backup")), header: append(bytes.Clone(encoded), 0)}
}

// next is the nonce of the next frame, and what is authenticated with it.
func (s *backupSeal) next(kind byte) (nonce, with []byte) {
	nonce = make([]byte, 12)
	binary.BigEndian.PutUint64(nonce[3:], s.frames)
	if kind == endFrame {
		nonce[11] = 1
	}
	s.frames++
	s.header[len(s.header)-1] = kind
	return nonce, s.header
}

func (s *backupSeal) seal(kind byte, payload []byte) []byte {
	nonce, with := s.next(kind)
	return s.gcm.Seal(nil, nonce, payload, with)
}

func (s *backupSeal) open(kind byte, payload []byte) ([]byte, error) {
	nonce, with := s.next(kind)
	return s.gcm.Open(payload[:0], nonce, payload, with)
}

// unlock prepares to read the frames after the header. Without a key the frames
// of an encrypted backup are only looked at from outside.
func (b *backupReader) unlock(encoded []byte) error {
	h := &b.header
	switch {
	case h.Encryption == "":
		return nil
	case h.Encryption != backupCipher:
		return fmt.Errorf("the backup is encrypted (%.40q), which this program cannot read; use the sett that wrote it", h.Encryption)
	case len(h.Salt) != saltBytes:
		return fmt.Errorf("%w: its salt has %d bytes", ErrBackupDamaged, len(h.Salt))
	case b.master == nil:
		b.opaque = true
		return nil
	case h.Key != keyID(b.master, h.Salt):
		return errBackupKey
	}
	b.seal = newBackupSeal(b.master, h, encoded)
	return nil
}

// unseal opens the frame that begins at start.
func (b *backupReader) unseal(start int64, kind byte) (err error) {
	if b.seal == nil {
		return nil
	}
	if b.payload, err = b.seal.open(kind, b.payload); err != nil {
		return damaged(start, "a part was changed, moved or left out: its sums are right, but not its seal")
	}
	return nil
}

// sealed tells of a backup that was looked at without its key.
func (b *backupReader) sealed() error {
	if b.opaque {
		return ErrBackupSealed
	}
	return nil
}

// VerifyBackupKey is [VerifyBackup] with the key of an encrypted backup; for one
// that is not encrypted the key means nothing.
func VerifyBackupKey(r io.Reader, key []byte) (BackupInfo, error) {
	return readBackup(r, key, func([]byte, []byte) error { return nil })
}

// checkEnd decodes the counts at the end and compares them.
func (b *backupReader) checkEnd(start int64) error {
	if b.opaque {
		return nil
	}
	var told backupCounts
	if err := codec.Decode(b.payload, &told); err != nil {
		return damaged(start, "its end cannot be read: %v", err)
	}
	if told != b.counts {
		return damaged(start, "it says that it has %+v, but there are %+v", told, b.counts)
	}
	return nil
}

// IsKeyError reports whether an error is about an encryption key, and nothing is
// wrong with what was read.
func IsKeyError(err error) bool {
	return errors.Is(err, ErrKeyNeeded) || errors.Is(err, ErrKeyWrong) || errors.Is(err, ErrNotEncrypted)
}
