package engine

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
)

// # Keys
//
//	master key (a file of the operator's)
//	├─ "wrap"        seals the store key in DIR/identity
//	├─ "id"          tells one master key from another
//	└─ "backup"      with a salt for each backup: its frames
//	store key (random, made with the store)
//	├─ "badger"      seals Badger's data keys, which change by time
//	└─ "broker"      is given to the embedded broker
//
// Each arrow is HKDF-SHA-256, so the master key itself encrypts nothing, and no
// key is used for two things. A new master key seals the same store key again:
// nothing else has to be written anew ([RotateKey]).

// Why a key does not fit.
var (
	// ErrKeyNeeded says that what is encrypted was to be read without a key.
	ErrKeyNeeded = errors.New("it is encrypted, and no key was given")
	// ErrKeyWrong says that a key is not the one that something was encrypted with.
	ErrKeyWrong = errors.New("it is encrypted with another key")
	// ErrNotEncrypted says that a key was given for data that are not encrypted.
	ErrNotEncrypted = errors.New("it is not encrypted, but a key was given")
)

// CheckKey says what is wrong with an encryption key, if anything.
func CheckKey(key []byte) error {
	switch len(key) {
	case 16, 24, 32:
		return nil
	}
	return fmt.Errorf("an encryption key has 16, 24 or 32 bytes, and this one %d", len(key))
}

// derive makes a key of 32 bytes for one purpose.
func derive(key, salt []byte, purpose string) []byte {
	return mustCrypt(hkdf.Key(sha256.New, key, salt, "sett 1 "+purpose, 32)) // it makes up to 8,160 bytes
}

// mustCrypt takes the result of what fails only for sizes that no caller has.
func mustCrypt[T any](result T, err error) T {
	if err != nil {
		panic(err)
	}
	return result
}

// keyID names a key and gives nothing of it away.
func keyID(key, salt []byte) string { return hex.EncodeToString(derive(key, salt, "id")[:8]) }

func newGCM(key []byte) cipher.AEAD {
	return mustCrypt(cipher.NewGCM(mustCrypt(aes.NewCipher(key)))) // keys have 32 bytes
}

// sealedKey is a store's key as DIR/identity keeps it.
type sealedKey struct {
	Master string `json:"master"` // the id of the key that it is sealed with
	Sealed []byte `json:"sealed"` // nonce, and the key in AES-256-GCM
}

func sealKey(storeKey, master []byte, storeID string) *sealedKey {
	nonce := make([]byte, 12)
	rand.Read(nonce) // never fails
	gcm := newGCM(derive(master, nil, "wrap"))
	return &sealedKey{Master: keyID(master, nil), Sealed: gcm.Seal(nonce, nonce, storeKey, []byte(storeID))}
}

func (k *sealedKey) open(master []byte, storeID string) ([]byte, error) {
	switch {
	case master == nil:
		return nil, ErrKeyNeeded
	case k.Master != keyID(master, nil):
		return nil, ErrKeyWrong
	case len(k.Sealed) < 12:
		return nil, errSealBroken
	}
	storeKey, err := newGCM(derive(master, nil, "wrap")).Open(nil, k.Sealed[:12], k.Sealed[12:], []byte(storeID))
	if err != nil || len(storeKey) != 32 {
		return nil, errSealBroken
	}
	return storeKey, nil
}

var errSealBroken = errors.New("the key in its identity file is damaged, or the file is of another store")

// unlock returns the key of a store; nil if it is not encrypted. A store that
// has no data yet becomes encrypted if a master key is given.
func (id *identity) unlock(dir string, master []byte) (storeKey []byte, err error) {
	switch {
	case id.Encryption != nil:
		storeKey, err = id.Encryption.open(master, id.StoreID)
	case master == nil:
		return nil, nil
	case id.Fresh && !hasData(dir):
		storeKey = newStoreKey()
		id.Encryption = sealKey(storeKey, master, id.StoreID)
		err = id.save(dir)
	default:
		err = fmt.Errorf("%w: leave the key out; to encrypt a store, back it up and restore it into an empty directory with the key", ErrNotEncrypted)
	}
	if err != nil {
		return nil, fmt.Errorf("engine: the store in %s: %w", dir, err)
	}
	return storeKey, nil
}

func newStoreKey() []byte {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return key
}

const badgerSecret = "badger"

// secret derives a key of a store for one purpose; nil if it is not encrypted.
func secret(storeKey []byte, purpose string) []byte {
	if storeKey == nil {
		return nil
	}
	return derive(storeKey, nil, purpose)
}

// Secret implements [Maintenance].
func (s *store) Secret(purpose string) []byte { return secret(s.key, purpose) }

// discreet has an error not say which key it is about, where the store is
// encrypted: errors are logged, and a log is not.
func (s *store) discreet(err error) error {
	if s.key == nil || err == nil {
		return err
	}
	return &discreetError{err}
}

type discreetError struct{ error }

var quotedText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

func (e *discreetError) Error() string { return quotedText.ReplaceAllString(e.error.Error(), `"..."`) }
func (e *discreetError) Unwrap() error { return e.error }

// RotateKey has a stopped store's data directory take another master key. Only
// the store's own key is sealed anew, in one file and at once: afterwards the
// old key opens nothing but backups that were written with it.
func RotateKey(dir string, before, after []byte) (err error) {
	if err := CheckKey(after); err != nil {
		return fmt.Errorf("engine: the new key: %w", err)
	}
	if bytes.Equal(before, after) {
		return errors.New("engine: the new key is the old one")
	}
	if !hasData(dir) {
		return fmt.Errorf("engine: %s holds no store", dir)
	}
	lock, err := lockDir(filepath.Join(dir, storeDir))
	if err != nil {
		return fmt.Errorf("engine: %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	id, err := readIdentity(dir)
	if err != nil {
		return err
	}
	if id.Encryption == nil {
		return fmt.Errorf("engine: the store in %s: %w", dir, ErrNotEncrypted)
	}
	storeKey, err := id.unlock(dir, before)
	if err != nil {
		return err
	}
	id.Encryption = sealKey(storeKey, after, id.StoreID)
	return id.save(dir)
}
