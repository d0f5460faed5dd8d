package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeKey writes a key file that only its owner may read.
func writeKey(t *testing.T, key string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const someKey = "0123456789abcdef0123456789abcdef"

func TestDataCheck(t *testing.T) {
	dir, key := filepath.Join(t.TempDir(), "data"), writeKey(t, someKey)
	url, stop := runStore(t, dir, "--encryption-key-file", key)
	t.Setenv("NATS_URL", url)
	do(t, "kv set a 1", "svc register web --id 1 --ttl 10s")
	step{args: "data check " + dir + " --encryption-key-file " + key, code: 1, stderr: "~another process uses this directory"}.check(t)
	stop()
	step{args: "data check " + dir, code: 1, stderr: "~--encryption-key-file FILE"}.check(t)
	t.Setenv("SETT_ENCRYPTION_KEY_FILE", key)
	step{args: "data check " + dir, stdout: "~encrypted    yes"}.check(t)
	step{args: "data check " + dir, stdout: "~whole        yes"}.check(t)
	step{args: "data check -o raw " + dir, stdout: "2\n"}.check(t)
	step{args: "data check -q " + dir}.check(t)
	step{args: "data check -o json " + dir, stdout: `~"keys":1,"instances":1,"deadlines":1`}.check(t)
	step{args: "data check", code: 2, stderr: "~DIR is missing"}.check(t)
	step{args: "data check " + t.TempDir(), code: 1, stderr: "~holds no store"}.check(t)

	tables, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no table", err)
	}
	for _, name := range tables {
		if err := os.Truncate(name, 100); err != nil {
			t.Fatal(err)
		}
	}
	got := sett(t, "", "data", "check", dir)
	if got.code != 1 || !strings.Contains(got.stdout, "whole        no") || !strings.Contains(got.stderr, tables[0]) ||
		!strings.Contains(got.stderr, "restore a backup") || !strings.Contains(got.stderr, "problem") {
		t.Errorf("damaged: %+v", got)
	}
	if got := sett(t, "", "data", "check", "-o", "json", dir); got.code != 1 || !strings.Contains(got.stdout, `"problems":["`) {
		t.Errorf("damaged, in JSON: %+v", got)
	}
}

func TestRotateKeyOfADirectory(t *testing.T) {
	dir, before, after := filepath.Join(t.TempDir(), "data"), writeKey(t, someKey), writeKey(t, someKey[:16])
	_, stop := runStore(t, dir, "--encryption-key-file", before)
	stop()
	rotate := "data rotate-key --data-dir " + dir
	step{args: rotate, code: 2, stderr: "~--new-key-file"}.check(t)
	step{args: rotate + " --old-key-file " + after + " --new-key-file " + before, code: 1, stderr: "~another key"}.check(t)
	step{args: rotate + " --old-key-file " + before + " --new-key-file " + after, stdout: "~takes the key in " + after}.check(t)
	step{args: "data check " + dir + " --encryption-key-file " + before, code: 1, stderr: "~rotate-key"}.check(t)
	step{args: "data check -q " + dir + " --encryption-key-file " + after}.check(t)
}

// TestKeyFiles: what is wrong with one is said, and never what is in it.
func TestKeyFiles(t *testing.T) {
	for what, c := range map[string]struct{ key, says string }{
		"empty":             {"", "this one 0; `head -c 32"},
		"hexadecimal":       {strings.Repeat("ca", 32), "this one 64;"},
		"with a line feed":  {someKey + "\n", "`truncate -s 32"},
		"without one":       {someKey, ""},
		"a line feed is it": {someKey[:31] + "\n", ""},
	} {
		key, err := readKey("flag", writeKey(t, c.key), func(warning string) { t.Errorf("%s: %s", what, warning) })
		if c.says == "" && (err != nil || string(key) != c.key) {
			t.Errorf("%s: %v", what, err)
		}
		if c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), c.key[:min(4, len(c.key))]) && c.key != "") {
			t.Errorf("%s: %v", what, err)
		}
	}
	name, warned := writeKey(t, someKey), ""
	if err := os.Chmod(name, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := readKey("flag", name, func(warning string) { warned = warning }); err != nil || !strings.Contains(warned, "0640") {
		t.Errorf("readable by others: %q, %v", warned, err)
	}
}

// TestBackupsOfAnEncryptedStore with and without its key.
func TestBackupsOfAnEncryptedStore(t *testing.T) {
	dir, key, wrong := filepath.Join(t.TempDir(), "data"), writeKey(t, someKey), writeKey(t, someKey[:16])
	file := filepath.Join(t.TempDir(), "one.backup")
	url, stop := runStore(t, dir, "--encryption-key-file", key)
	t.Setenv("NATS_URL", url)
	do(t, "kv set a 1")
	step{args: "backup create " + file, stdout: "~backed up store ", stderr: "~encrypted"}.check(t)
	step{args: "backup create " + file + " --encryption-key-file " + key, stdout: "~backed up 1 key to "}.check(t)
	step{args: "backup create " + file + " --plain", code: 2, stderr: "~--plain-backups"}.check(t)
	stop()
	step{args: "backup verify " + file, code: 1, stderr: "~all sums are right"}.check(t)
	step{args: "backup verify " + file + " --encryption-key-file " + wrong, code: 1, stderr: "~another key"}.check(t)
	step{args: "backup verify " + file + " --encryption-key-file " + key, stdout: "~encrypted   yes"}.check(t)
	step{args: "backup list -o raw " + filepath.Dir(file), stdout: file + "\n"}.check(t)
	stopped := " --data-dir " + dir + " --encryption-key-file " + key
	step{args: "backup create " + file + ".2 --plain" + stopped, stdout: "~backed up 1 key"}.check(t)
	step{args: "backup verify " + file + ".2", stdout: "~encrypted   no"}.check(t)

	into := filepath.Join(t.TempDir(), "into")
	step{args: "restore " + file + " --data-dir " + into, code: 1, stderr: "~no key was given"}.check(t)
	step{args: "restore " + file + " --data-dir " + into + " --backup-key-file " + key, stdout: "~restored 1 key"}.check(t)
	step{args: "data check " + into, stdout: "~encrypted    no"}.check(t)
	step{args: "restore " + file + " --replace" + stopped, stdout: "~restored 1 key"}.check(t)
	step{args: "data check -q " + dir + " --encryption-key-file " + key}.check(t)
}
