package integration

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// records are lines of an export, written by hand.
func records(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, `{"key":"n/%05d","value":"value of %d"}`+"\n", i, i)
	}
	return b.String()
}

// What leaves one store by the command line is in the other one, and two
// exports differ in their first line only.
func TestExportMoves(t *testing.T) {
	first, second := serve(t), serve(t)
	in := records(0, 3000) + `{"key":"odd/\"é","value_base64":"AP8="}` + "\n" + `{"name":"web","address":"10.0.0.7","port":80,"tags":["b","a"]}` + "\n"
	if r := command(t, strings.NewReader(in), "-s", first.url, "import", "-"); r.status != 0 || r.out != "imported 3001 keys and 1 instance\n" {
		t.Fatalf("%+v", r)
	}
	file := filepath.Join(t.TempDir(), "all.jsonl")
	if r := first.sett("export", "--file", file); r.status != 0 {
		t.Fatalf("%+v", r)
	}
	if r := second.sett("import", file); r.status != 0 || r.out != "imported 3001 keys and 1 instance\n" {
		t.Fatalf("%+v", r)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, before, _ := strings.Cut(string(want), "\n")
	if _, after, _ := strings.Cut(second.sett("export").out, "\n"); after != before || strings.Count(after, "\n") != 3003 {
		t.Errorf("the export of the import has %d lines", strings.Count(after, "\n"))
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: %v", info, err)
	}
	if r := second.sett("import", "--dry-run", file); r.status != 0 || r.out != "would import 3001 keys and 1 instance\n" {
		t.Errorf("%+v", r)
	}
}

// A store that is killed and comes back in the middle of an import costs it
// nothing: the batch that was not answered is sent again.
func TestImportOutlivesStore(t *testing.T) {
	b := startBroker(t)
	p := launch(t, "--nats-url", b.url, "--data-dir", t.TempDir()).mustBeReady()
	answered := answerTo(t, b.url, "batch.apply")
	cmd := exec.Command(binary(t), "-s", b.url, "--timeout", "2s", "import", "-")
	dieWithUs(cmd)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, records(0, 1001)); err != nil { // one batch, and what ends it
		t.Fatal(err)
	}
	answered() // and not only visible
	p.kill()
	// One more batch is sent, and again.
	if _, err := io.WriteString(in, records(1001, 2002)); err != nil { // no more than a pipe takes: nobody reads on
		t.Fatal(err)
	}
	ids := overhear(t, b.url, 3)
	p = p.again()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Errorf("a batch is sent again under other ids: %q", ids)
		}
	}
	if _, err := io.WriteString(in, records(2002, 5000)); err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || out.String() != "imported 5000 keys\n" {
		t.Fatalf("%v: %s", err, &out)
	}
	if _, got, _ := strings.Cut(p.sett("export").out, "\n"); got != records(0, 5000)+`{"sett_export_end":1,"keys":5000,"instances":0}`+"\n" {
		t.Errorf("there are %d lines", strings.Count(got, "\n"))
	}
}

// answerTo listens from now on, and returns what waits for a request whose
// subject begins so, and for its answer.
func answerTo(t *testing.T, url, subject string) (wait func()) {
	t.Helper()
	nc := connect(t, url)
	sub, err := nc.SubscribeSync(">")
	if err := errors.Join(err, nc.Flush()); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		for reply := ""; ; {
			m, err := sub.NextMsg(patience)
			switch {
			case err != nil:
				t.Fatalf("no answer to %s: %v", subject, err)
			case m.Subject == reply:
				return
			case strings.HasPrefix(m.Subject, subject):
				reply = m.Reply
			}
		}
	}
}

// overhear waits for requests to apply a batch, which nobody answers, and
// returns their ids. More than two are more than one call of the client.
func overhear(t *testing.T, url string, n int) (ids []string) {
	t.Helper()
	sub, err := connect(t, url).SubscribeSync("batch.apply.>")
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		m, err := sub.NextMsg(patience)
		if err != nil {
			t.Fatalf("after %q: %v", ids, err)
		}
		ids = append(ids, m.Header.Get(nats.MsgIdHdr))
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	return ids
}
