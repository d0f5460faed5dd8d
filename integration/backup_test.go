package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// fillRandom gives a store n values of a size that cannot be packed.
func fillRandom(t *testing.T, nc *nats.Conn, prefix string, n, size int) {
	t.Helper()
	random := rand.NewChaCha8([32]byte{})
	for i := range n {
		value := make([]byte, size)
		random.Read(value)
		set(t, nc, fmt.Sprint(prefix, i), base64.StdEncoding.EncodeToString(value))
	}
}

// takeBackup does by hand what any client in any language can do.
func takeBackup(t *testing.T, nc *nats.Conn, enc encoding) (data []byte, last obj) {
	t.Helper()
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	if err := nc.PublishRequest("store.backup", sub.Subject, enc.payload(t, obj{})); err != nil {
		t.Fatal(err)
	}
	for seq := int64(1); ; seq++ {
		m, err := sub.NextMsg(patience)
		if err != nil {
			t.Fatalf("chunk %d: %v", seq, err)
		}
		fields, err := decode(m.Data)
		if err != nil || len(m.Header) > 0 || encodingOf(m.Data).name != enc.name {
			t.Fatalf("chunk %d: %v, %v", seq, m.Header, err)
		}
		if fields["done"] == true {
			return data, fields
		}
		chunk, ok := fields["data"].(string)
		if text, encoded := fields["data_base64"].(string); encoded {
			raw, err := base64.StdEncoding.DecodeString(text)
			chunk, ok = string(raw), err == nil
		}
		if !ok || fields["seq"] != seq || len(fields) != 2 || m.Reply == "" {
			t.Fatalf("chunk %d is %s", seq, clip(m.Data))
		}
		data = append(data, chunk...)
		if err := m.Respond(nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackupOnTheWire takes a backup in both encodings, and starts another
// store from it.
func TestBackupOnTheWire(t *testing.T) {
	p := serve(t)
	nc := p.connect()
	fillRandom(t, nc, "k/", 10, 300_000) // more chunks than a window has
	var status obj
	for _, enc := range encodings {
		status = ask(t, nc, "store.status", nil).fields
		data, last := takeBackup(t, nc, enc)
		sum := sha256.Sum256(data)
		want := obj{
			"done": true, "sha256": hex.EncodeToString(sum[:]), "bytes": int64(len(data)), "chunks": number, "keys": int64(10), "instances": int64(0),
			"store_revision": status["store_revision"], "epoch": status["epoch"],
		}
		if err := match(last, want, vars{}); err != nil {
			t.Errorf("%s: the last message: %v", enc.name, err)
		}
		file, dir := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := command(t, nil, "restore", file, "--data-dir", dir); r.status != 0 {
			t.Fatalf("restore: %d, %s", r.status, r.err)
		}
		q := launch(t, "--listen", "127.0.0.1:0", "--data-dir", dir).mustBeReady()
		again := ask(t, q.connect(), "store.status", nil).fields
		if again["store_id"] != status["store_id"] || again["keys"] != int64(10) || again["epoch"].(int64) <= status["epoch"].(int64) ||
			again["store_revision"].(int64) <= status["store_revision"].(int64) {
			t.Errorf("restored is %v, it was %v", again, status)
		}
		before, after := p.sett("kv", "get", "k/7"), q.sett("kv", "get", "k/7")
		if after.out == "" || after.out != before.out {
			t.Error("a value differs")
		}
		q.stop()
	}
}

// TestRestoreKilled kills restores on their way, as soon as they have got
// somewhere: the directory has the old store or the new one.
func TestRestoreKilled(t *testing.T) {
	p := serve(t)
	fillRandom(t, p.connect(), "new/", 20, 300_000)
	file := filepath.Join(t.TempDir(), "backup")
	if r := p.sett("backup", "create", file); r.status != 0 {
		t.Fatal(r.err)
	}
	p.stop()
	q := serve(t)
	set(t, q.connect(), "old", "1")
	q.stop()
	dir := q.args[3]
	outcomes := make(map[string]int)
	for _, seen := range []string{"store.restoring", "store.restoring/MANIFEST", "store.restoring/000001.sst", "store.replaced"} {
		cmd := exec.Command(binary(t), "restore", file, "--data-dir", dir, "--replace")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		dieWithUs(cmd)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		killed := false
		for done := false; !done; {
			select {
			case err := <-ended:
				if done = true; err != nil && !killed {
					t.Fatalf("restore: %v, %s", err, stderr.String())
				}
			default:
				if _, err := os.Lstat(filepath.Join(dir, seen)); err == nil && !killed {
					killed = cmd.Process.Kill() == nil
				}
			}
		}
		q := launch(t, "--listen", "127.0.0.1:0", "--data-dir", dir).mustBeReady()
		keys := strings.Fields(q.sett("kv", "list", "-o", "raw").out)
		switch {
		case len(keys) == 1 && keys[0] == "old":
			outcomes["old"]++
		case len(keys) == 20 && strings.HasPrefix(keys[0], "new/"):
			outcomes["new"]++
		default:
			t.Errorf("killed at %s it has the keys %v", seen, keys)
		}
		q.stop()
		for _, left := range []string{"store.restoring", "store.replaced"} {
			if _, err := os.Stat(filepath.Join(dir, left)); err == nil {
				t.Errorf("killed at %s: %s is still there after the next start", seen, left)
			}
		}
	}
	t.Logf("found %v", outcomes)
}
