package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runStore runs a store on a data directory until stop is called.
func runStore(t *testing.T, dir string, args ...string) (url string, stop func()) {
	t.Helper()
	p := start(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", dir}, args...)...)
	return p.ready(), func() {
		t.Helper()
		p.stop()
		if code := p.end(); code != 0 {
			t.Errorf("serve ended with %d: %s", code, p.stderr)
		}
	}
}

// TestBackupAndRestore goes the whole way: a running store, its backup, another
// directory, and back into the first one.
func TestBackupAndRestore(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), "new", "one.backup")
	url, stop := runStore(t, dir)
	t.Setenv("NATS_URL", url)
	do(t, "kv set a 1", "kv set b 2", "svc register web --id 1")
	step{args: "backup create " + file, stdout: "~backed up 2 keys and 1 instance to " + file + " (revision 3, "}.check(t)
	step{args: "backup create -o raw " + file, stdout: "3\n"}.check(t)
	piped := sett(t, "", "backup", "create", "-")
	if piped.code != 0 || !strings.Contains(piped.stderr, "backed up 2 keys and 1 instance (revision 3") {
		t.Errorf("%d, %s", piped.code, piped.stderr)
	}
	step{args: "backup verify -", stdin: piped.stdout, stdout: "~instances"}.check(t)
	step{args: "backup verify " + file, stdout: "~whole"}.check(t)
	var told struct {
		File, StoreID, SHA256     string
		Revision, Keys, Instances int
	}
	got := sett(t, "", "backup", "verify", file, "-o", "json")
	if err := json.Unmarshal([]byte(strings.ReplaceAll(got.stdout, "_", "")), &told); err != nil || told.Revision != 3 || told.Keys != 2 || told.Instances != 1 || len(told.SHA256) != 64 {
		t.Errorf("%v: %s", err, got.stdout)
	}
	step{args: "restore " + file + " --data-dir " + dir, code: 1, stderr: "~another process uses this directory"}.check(t)
	step{args: "restore " + file + " --replace --data-dir " + dir, code: 1, stderr: "~another process uses this directory"}.check(t)
	step{args: "backup create " + file + " --data-dir " + dir, code: 1, stderr: "~another process uses this directory"}.check(t)
	do(t, "kv delete a")
	stop()
	step{args: "backup create " + file + ".2 --data-dir " + dir, stdout: "~backed up 1 key and 1 instance"}.check(t)

	step{args: "restore " + file + " --data-dir " + other, stdout: "~restored 2 keys and 1 instance to " + other + " (store " + told.StoreID}.check(t)
	step{args: "restore " + file + " --data-dir " + dir, code: 1, stderr: "~--replace puts the backup in its place"}.check(t)
	step{args: "restore " + file + " --replace --data-dir " + dir + " -o raw", stdout: told.StoreID + "\n"}.check(t)
	for _, dir := range []string{other, dir} {
		url, stop := runStore(t, dir)
		step{args: "kv list -o raw -s " + url, stdout: "a\nb\n"}.check(t)
		status := sett(t, "", "status", "-o", "json", "-s", url)
		if !strings.Contains(status.stdout, told.StoreID) {
			t.Errorf("served as %s", status.stdout)
		}
		stop()
	}
	if info, err := os.Stat(filepath.Join(other, "store")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestBackupRefused(t *testing.T) {
	url := serveMemory(t)
	t.Setenv("NATS_URL", url)
	do(t, "kv set a 1")
	dir := t.TempDir()
	good, bad, cut := filepath.Join(dir, "good.backup"), filepath.Join(dir, "bad.backup"), filepath.Join(dir, "cut.backup")
	step{args: "backup create -q " + good}.check(t)
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), data...)
	damaged[len(data)/2] ^= 1
	for name, data := range map[string][]byte{bad: damaged, cut: data[:len(data)-1], filepath.Join(dir, "notes"): []byte("hello"), filepath.Join(dir, "empty.backup"): nil} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	for _, s := range []step{
		{args: "backup verify " + bad, code: 1, stderr: "~" + bad + ": the backup is damaged, at byte "},
		{args: "backup verify " + cut, code: 1, stderr: "~the backup is cut off: it ends after "},
		{args: "backup verify " + filepath.Join(dir, "notes"), code: 1, stderr: "~no backup of sett"},
		{args: "backup verify -", code: 1, stderr: "~no backup of sett: it is empty"},
		{args: "backup verify /no/such/file", code: 1, stderr: "~no such file"},
		{args: "backup verify", code: 2, stderr: "~FILE is missing"},
		{args: "backup verify a b", code: 2, stderr: "~too many arguments"},
		{args: "restore " + bad + " --data-dir " + none, code: 1, stderr: "~the backup is damaged"},
		{args: "restore " + cut + " --data-dir " + none, code: 1, stderr: "~the backup is cut off"},
		{args: "restore", code: 2, stderr: "~FILE is missing"},
		{args: "backup create " + dir, code: 1, stderr: "~no plain file"},
		{args: "backup create x --data-dir " + none, code: 1, stderr: "~holds no store"},
		{args: "backup create x -s nats://127.0.0.1:1", code: 6, stderr: "~no NATS server answers"},
		{args: "backup create x --subject-prefix other", code: 6, stderr: "~store.backup: unavailable: "},
		{args: "serve --backup-every 1ms", code: 2, stderr: "~--backup-every"},
		{args: "serve --backup-keep -1", code: 2, stderr: "~--backup-keep"},
	} {
		s.check(t)
	}
	for _, left := range []string{none, "x"} {
		if _, err := os.Stat(left); err == nil {
			t.Errorf("%s was made", left)
		}
	}
	listed := sett(t, "", "backup", "list", dir)
	if listed.code != 0 || strings.Count(listed.stdout, "\n") != 5 || strings.Contains(listed.stdout, "notes") || !strings.Contains(listed.stdout, "it is empty") {
		t.Errorf("%d: %s%s", listed.code, listed.stdout, listed.stderr)
	}
	step{args: "backup list " + t.TempDir(), stderr: "no backups\n"}.check(t)
	step{args: "backup list " + none, code: 1, stderr: "~no such file"}.check(t)
	step{args: "backup list " + dir + " -o json", stdout: `~"file":"` + good + `","store_id":"`}.check(t)
}

// TestServeBacksUp: a store that is told to writes backups by itself.
func TestServeBacksUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "backups")
	p := start(t, "serve", "--listen", "127.0.0.1:0", "--engine", "memory", "--data-dir", t.TempDir(), "--backup-dir", dir)
	p.stderr.await(t, `"msg":"backed up"`)
	p.stop()
	if code := p.end(); code != 0 {
		t.Fatalf("status %d: %s", code, p.stderr)
	}
	listed := sett(t, "", "backup", "list", dir, "-o", "raw")
	if strings.Count(listed.stdout, "\n") != 1 {
		t.Errorf("it wrote %q", listed.stdout)
	}
	step{args: "backup verify " + strings.TrimSpace(listed.stdout), stdout: "~whole"}.check(t)
}
