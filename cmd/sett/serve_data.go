package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/settkv/sett/engine"
)

// cryptFlags are those of encryption at rest.
type cryptFlags struct {
	file         string
	rotation     time.Duration
	plainBackups bool
}

func (f *cryptFlags) add(fs *pflag.FlagSet) {
	addKeyFile(fs, "encryption-key-file", "encrypt all that is written to the disk with the key in `FILE`: 16, 24 or 32 random bytes", &f.file)
	f.rotation = 7 * 24 * time.Hour
	addDuration(fs, "encryption-rotation", "how long one of the data keys is used that the key in the file protects, a `DURATION`", &f.rotation)
	fs.BoolVar(&f.plainBackups, "plain-backups", false, "write backups that can be read without the key")
}

// addKeyFile adds a flag that names a file with a key.
func addKeyFile(fs *pflag.FlagSet, name, usage string, file *string) {
	fs.StringVar(file, name, "", usage)
}

// validate checks what flags must not say together.
func (f *cryptFlags) validate(kind string) error {
	switch {
	case f.rotation < time.Minute:
		return errors.New("--encryption-rotation must be at least 1m")
	case f.file != "" && kind == engine.Memory:
		return errors.New("--encryption-key-file is for data on the disk, and --engine memory keeps none; its change feed does, where it is durable")
	case f.file == "" && f.plainBackups:
		return errors.New("--plain-backups is for a store with --encryption-key-file")
	}
	return nil
}

// engine sets what the engine must know.
func (f *cryptFlags) engine(o *engine.Options, log *slog.Logger) (err error) {
	o.EncryptionRotation, o.PlainBackups = f.rotation, f.plainBackups
	o.EncryptionKey, err = readKey("encryption-key-file", f.file, func(warning string) { log.Warn(warning, "file", f.file) })
	if err == nil && f.file != "" && under(f.file, o.Dir) {
		log.Warn("the encryption key lies in the data directory that it protects: whoever takes one has both", "file", f.file)
	}
	return err
}

// under tells whether a file lies in a directory.
func under(file, dir string) bool {
	file, fileErr := filepath.Abs(file)
	dir, dirErr := filepath.Abs(dir)
	return fileErr == nil && dirErr == nil && strings.HasPrefix(file, dir+string(filepath.Separator))
}

// readKey reads a key as it stands in a file: nothing is stripped, since any
// byte may belong to it. Without a file there is none. No error says what is in
// the file.
func readKey(flag, file string, warn func(string)) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	key, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	if err := engine.CheckKey(key); err != nil {
		hint := "`head -c 32 /dev/urandom > FILE` makes one"
		if n := len(key); n > 0 && key[n-1] == '\n' && engine.CheckKey(key[:n-1]) == nil {
			hint = fmt.Sprintf("the last one is a line feed, which counts: `truncate -s %d FILE` removes it", n-1)
		}
		return nil, fmt.Errorf("--%s %s: %w; %s", flag, file, err, hint)
	}
	if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		warn(fmt.Sprintf("the encryption key can be read by others (mode %04o): chmod 600 it", info.Mode().Perm()))
	}
	return key, nil
}

// readKey reads a key for a command that people run.
func (a *app) readKey(flag, file string) ([]byte, error) {
	key, err := readKey(flag, file, func(warning string) { a.note("%s: %s", file, warning) })
	if err != nil {
		return nil, &exitError{status: exitUsage, text: err.Error()}
	}
	return key, nil
}

// keyHint says what to do about a key that does not fit, or "".
func keyHint(err error) string {
	switch {
	case errors.Is(err, engine.ErrKeyNeeded):
		return "--encryption-key-file FILE names the file with its key"
	case errors.Is(err, engine.ErrKeyWrong):
		return "--encryption-key-file FILE must name the file that it was encrypted with, or the one of the last `sett data rotate-key`"
	}
	return ""
}
