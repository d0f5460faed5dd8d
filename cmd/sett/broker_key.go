package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// keyNote is a file in the broker's directory that tells which key its streams
// are encrypted with. The server itself leaves a stream out that it cannot
// decrypt, with a warning, and the store would then begin an empty one.
const keyNote = "sett-key"

// encrypt has the embedded broker encrypt what it keeps. Streams that are there
// in plain text it encrypts when it starts.
func (l *link) encrypt(key []byte, log *slog.Logger) error {
	if l.broker == nil {
		if key != nil {
			log.Warn("the store is encrypted, but a durable change feed is kept by the broker that it joins: encrypt that one's JetStream too")
		}
		return nil
	}
	opts := l.broker.opts
	if opts.JetStreamKey != "" || opts.JetStreamTpm.KeysFile != "" {
		return nil // its configuration knows better
	}
	if err := noteKey(opts.StoreDir, key); err != nil {
		return err
	}
	if key != nil {
		opts.JetStreamKey = hex.EncodeToString(key)
	}
	return nil
}

// noteKey notes the key in the broker's directory, or compares it with the note.
func noteKey(dir string, key []byte) error {
	file, id := filepath.Join(dir, keyNote), ""
	if key != nil {
		sum := sha256.Sum256(append([]byte("sett broker key id "), key...))
		id = hex.EncodeToString(sum[:8])
	}
	note, err := os.ReadFile(file)
	switch {
	case err == nil && string(note) == id:
		return nil
	case err == nil:
		return fmt.Errorf("the broker's streams in %s are encrypted with the key of another store: "+
			"put that store's data and identity back beside them, or move %s away to begin without them", dir, dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case id == "":
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return replaceFile(file, func(w io.Writer) error {
		_, err := io.WriteString(w, id)
		return err
	})
}
