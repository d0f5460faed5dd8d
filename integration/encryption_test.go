package integration

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// keyFile writes an encryption key.
func keyFile(t testing.TB, key string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const (
	aKey       = "CANARY of a key of 32 raw bytes."
	anotherKey = "another key of 24 bytes."
)

// sing gives a store canaries to keep.
func sing(t testing.TB, nc *nats.Conn) {
	t.Helper()
	for i := range 20 {
		set(t, nc, fmt.Sprint("CANARY-key/", i), strings.Repeat("CANARY-value ", 20))
	}
	must(t, nc, "svc.register", obj{"name": "CANARY-service", "id": "1", "address": "10.0.0.1", "note": "CANARY-note"})
	ask(t, nc, "kv.get", inJSON.payload(t, obj{"key": "CANARY-key/\x00"})) // an error about it
	ask(t, nc, "kv.set", inJSON.payload(t, obj{"key": "CANARY-key/1", "value": "x", "if_revision": 77}))
}

// singing lists the files in which a canary is to be read.
func singing(t testing.TB, dirs ...string) (found []string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if bytes.Contains(data, []byte("CANARY")) {
				found = append(found, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// TestEncryptionAtRest: no file that a store or its broker writes says what is
// in it: not while it runs, nor when it was killed or stopped, nor its backups.
// No log does, whatever its level.
func TestEncryptionAtRest(t *testing.T) {
	for name, encrypted := range map[string]bool{"plain": false, "encrypted": true} {
		t.Run(name, func(t *testing.T) {
			backups := t.TempDir()
			flags := []string{"--log-level", "debug", "--backup-dir", backups, "--backup-every", "1s"}
			if encrypted {
				flags = append(flags, "--encryption-key-file", keyFile(t, aKey))
			}
			p := serve(t, flags...)
			dir := p.args[3]
			sing(t, p.connect())
			if r := p.sett("backup", "create", filepath.Join(backups, "by-hand")); r.status != 0 {
				t.Fatal(r)
			}
			check := func(when string) {
				t.Helper()
				if found := singing(t, dir, backups); (len(found) == 0) != encrypted {
					t.Errorf("%s: %q", when, found)
				}
				if strings.Contains(p.logged(), "CANARY") {
					t.Errorf("%s: the log has canaries:\n%s", when, p.logged())
				}
			}
			check("running")
			p.kill()
			check("killed")
			p = p.again()
			nc := p.connect()
			if got, _, _ := get(t, nc, "CANARY-key/7"); got != strings.Repeat("CANARY-value ", 20) {
				t.Errorf("after the kill the value is %q", got)
			}
			if n := len(wholeStream(t, nc)); n < 21 {
				t.Errorf("the stream has %d events", n)
			}
			sing(t, nc)
			p.stop()
			check("stopped")
		})
	}
}

// TestAnotherKeyIsRefused, and says which key is needed, before anything is
// touched.
func TestAnotherKeyIsRefused(t *testing.T) {
	key := keyFile(t, aKey)
	p := serve(t, "--encryption-key-file", key)
	set(t, p.connect(), "a", "1")
	dir := p.args[3]
	p.stop()
	for what, c := range map[string]struct {
		flags []string
		says  string
	}{
		"none":    {nil, "no key was given"},
		"another": {[]string{"--encryption-key-file", keyFile(t, anotherKey)}, "another key"},
		"a line":  {[]string{"--encryption-key-file", keyFile(t, aKey+"\n")}, "truncate -s 32"},
		"nothing": {[]string{"--encryption-key-file", keyFile(t, "")}, "head -c 32"},
		"no file": {[]string{"--encryption-key-file", filepath.Join(t.TempDir(), "none")}, "no such file"},
	} {
		log := launch(t, append([]string{"--listen", "127.0.0.1:0", "--data-dir", dir}, c.flags...)...).mustFail()
		if !strings.Contains(log, c.says) || !strings.Contains(log, "encryption-key-file") || strings.Contains(log, "CANARY") {
			t.Errorf("%s: %s", what, log)
		}
	}
	plain := serve(t)
	plain.stop()
	if log := launch(t, append(plain.args, "--encryption-key-file", key)...).mustFail(); !strings.Contains(log, "not encrypted") {
		t.Errorf("a store in plain: %s", log)
	}
	p = p.again()
	if got, _, _ := get(t, p.connect(), "a"); got != "1" {
		t.Errorf("afterwards a is %q", got)
	}
}

// TestRotateKeyFile: the whole directory, the broker's streams too, takes a new
// key file, and its data are checked with it.
func TestRotateKeyFile(t *testing.T) {
	before, after := keyFile(t, aKey), keyFile(t, anotherKey)
	p := serve(t, "--encryption-key-file", before)
	dir := p.args[3]
	sing(t, p.connect())
	rotate := []string{"data", "rotate-key", "--data-dir", dir, "--old-key-file", before, "--new-key-file", after}
	if r := command(t, nil, rotate...); r.status != 1 || !strings.Contains(r.err, "another process") {
		t.Errorf("of a running store: %+v", r)
	}
	p.stop()
	if r := command(t, nil, rotate...); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	if r := command(t, nil, "data", "check", dir, "--encryption-key-file", before); r.status != 1 || !strings.Contains(r.err, "another key") {
		t.Errorf("the old key: %+v", r)
	}
	if r := command(t, nil, "data", "check", dir, "--encryption-key-file", after, "-o", "json"); r.status != 0 || !strings.Contains(r.out, `"keys":20`) {
		t.Errorf("the new key: %+v", r)
	}
	p.args[len(p.args)-1] = after
	p = p.again()
	if n := len(wholeStream(t, p.connect())); n != 21 {
		t.Errorf("the stream has %d events", n)
	}
}

// TestAnEncryptedStoreTakesOverAPlainBroker: streams that are there in plain
// text are encrypted when the broker starts. The streams of an encrypted store
// whose data are gone are never replaced by empty ones.
func TestAnEncryptedStoreTakesOverAPlainBroker(t *testing.T) {
	plain := serve(t)
	sing(t, plain.connect())
	plain.stop()
	key, backup, dir := keyFile(t, aKey), filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "data")
	if r := command(t, nil, "backup", "create", backup, "--data-dir", plain.args[3]); r.status != 0 {
		t.Fatal(r)
	}
	if r := command(t, nil, "restore", backup, "--data-dir", dir, "--encryption-key-file", key); r.status != 0 {
		t.Fatal(r)
	}
	copyDir(t, filepath.Join(plain.args[3], "broker"), filepath.Join(dir, "broker"))
	p := launch(t, "--listen", "127.0.0.1:0", "--data-dir", dir, "--encryption-key-file", key).mustBeReady()
	if n := len(wholeStream(t, p.connect())); n < 21 {
		t.Errorf("the stream has %d events", n)
	}
	p.stop()
	if found := singing(t, dir); len(found) > 0 {
		t.Errorf("readable: %q", found)
	}
	for _, flags := range [][]string{p.args, p.args[:4]} {
		for _, name := range []string{"identity", "store"} {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if log := launch(t, flags...).mustFail(); !strings.Contains(log, "key of another store") {
			t.Errorf("%v: %s", flags, log)
		}
	}
}
