package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/settkv/sett/codec"
)

// checkFolder fails unless a file has the text ("": is not there), and is
// alone in its folder.
func checkFolder(t *testing.T, name, text string) {
	t.Helper()
	files, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		t.Fatal(err)
	}
	if text == "" {
		if len(files) > 0 {
			t.Errorf("there is %s", files[0].Name())
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != text || len(files) != 1 {
		t.Errorf("%s has %q, beside %d files: %v", name, got, len(files)-1, err)
	}
}

// oddRecords is an export by hand, of keys and values that are not plain.
func oddRecords() string {
	var b strings.Builder
	put := func(line any) { b.Write(append(codec.Append(nil, codec.JSON, line), '\n')) }
	for _, r := range []struct{ key, value string }{
		{"a", ""}, {"a.b", "dots"}, {"a/b", "slash"}, {"a//", "empty tokens"}, {`"\quotes\"`, "\"\\\n\t\x00\x7f"},
		{"{", "{}"}, {"#", "no comment"}, {"emoji/😀", "é😀\u2028"}, {"<&>", "<&>"}, {"bin", "\x00\xff\xfe"},
		{"big", strings.Repeat("x", codec.MaxValue)}, {"bigbin", strings.Repeat("\xff", codec.MaxValue)},
		{strings.Repeat("k", codec.MaxKey), "long"}, {" ", "space"},
	} {
		put(&keyLine{Key: r.key, Value: []byte(r.value)})
	}
	for i := range 2500 { // more than one page, and more than one batch
		put(&keyLine{Key: "n/" + number(int64(i)), Value: []byte(number(int64(i)))})
	}
	put(&instanceLine{Name: "web", Address: "::1", Port: 80, Tags: []string{"b", "a"}, Meta: map[string]string{"z": "1", "a": "\"2\""}})
	put(&instanceLine{Name: "web", ID: "b lue", Status: codec.Critical, Note: "é\"", TTLMs: 3_600_000})
	put(&instanceLine{Name: "wéb", ID: "1", Status: codec.Warning})
	return b.String()
}

// body is an export without its first line, and with what follows the
// deadlines of instances taken out.
func body(t *testing.T, export string) string {
	t.Helper()
	head, rest, _ := strings.Cut(export, "\n")
	var h map[string]any
	if err := json.Unmarshal([]byte(head), &h); err != nil || h["sett_export"] != 1.0 || h["store_id"] == "" || h["epoch"] == 0.0 {
		t.Errorf("the first line is %s (%v)", head, err)
	}
	return rest
}

// An export of what was imported from an export is the same but for its first
// line, whatever the keys and values.
func TestExportRoundTrip(t *testing.T) {
	file := filepath.Join(t.TempDir(), "export.jsonl")
	t.Setenv("NATS_URL", serveMemory(t))
	odd := strings.ReplaceAll(oddRecords(), `,"ttl_ms":3600000`, "") // deadlines move
	step{args: "import - -o json", stdin: odd, stdout: "~\"keys\":2514,\"instances\":3,"}.check(t)
	step{args: "export --file " + file, stdout: "~exported 2514 keys and 3 instances to "}.check(t)
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := sett(t, "", "export").stdout; got != string(first) {
		t.Error("a second export is another")
	}
	t.Setenv("NATS_URL", serveMemory(t))
	step{args: "import " + file, stdout: "imported 2514 keys and 3 instances\n"}.check(t)
	step{args: "import " + file, stdout: "imported 2514 keys and 3 instances\n"}.check(t) // once more changes nothing
	second := sett(t, "", "export").stdout
	if body(t, second) != body(t, string(first)) {
		t.Errorf("%d bytes became %d", len(first), len(second))
	}
	lines := strings.Split(strings.TrimSpace(second), "\n")
	if want := strings.Count(odd, "\n") + 2; len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
	if end := lines[len(lines)-1]; end != `{"sett_export_end":1,"keys":2514,"instances":3}` {
		t.Errorf("the last line is %s", end)
	}
}

func TestExport(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	file := filepath.Join(t.TempDir(), "export.jsonl")
	for _, s := range []step{
		{args: "import -", stdin: `{"key":"b","value":"é"}` + "\n" + `{"key":"a/2","value_base64":"AP8="}` + "\n" + `{"key":"a/1","value":""}` + "\n" +
			`{"name":"w","id":"1","status":"critical"}`, stdout: "imported 3 keys and 1 instance\n"},
		{args: "export", stdout: "~,\"store_revision\":4,"},
		{args: "export", stdout: "~,\"prefix\":\"\"}\n" +
			`{"key":"a/1","value":""}` + "\n" + `{"key":"a/2","value_base64":"AP8="}` + "\n" + `{"key":"b","value":"é"}` + "\n" +
			`{"name":"w","id":"1","status":"critical"}` + "\n" + `{"sett_export_end":1,"keys":3,"instances":1}` + "\n"},
		{args: "export a/ --revisions", stdout: "~,\"prefix\":\"a/\"}\n" +
			`{"key":"a/1","value":"","revision":3,"created_revision":3}` + "\n" + `{"key":"a/2","value_base64":"AP8=","revision":2,"created_revision":2}` + "\n" +
			`{"sett_export_end":1,"keys":2,"instances":0}` + "\n"},
		{args: "export b --services", stdout: "~" + `"keys":1,"instances":1}`},
		{args: "export --services=false", stdout: "~" + `"keys":3,"instances":0}`},
		{args: "export none/", stdout: "~\"prefix\":\"none/\"}\n" + `{"sett_export_end":1,"keys":0,"instances":0}` + "\n"},
		{args: "export a/ --file " + file, stdout: "exported 2 keys to " + file + " (revision 4)\n"},
		{args: "export a/ -o json --file " + file, stdout: "~{\"keys\":2,\"instances\":0,\"store_revision\":4,\"epoch\":"},
		{args: "export a/ -o raw --file " + file, stdout: "2\n"},
		{args: "export a/ -q --file " + file},
		{args: "export a/ --file /no/such/folder/x", code: 1, stderr: "~no such file"},
		{args: "export a b", code: 2, stderr: "~too many arguments"},
		{args: "export --subject-prefix elsewhere", code: 6, stderr: "~nobody answers"},
		{args: "import " + file, stdout: "imported 2 keys\n"},
		{args: "export w --revisions", stdout: "~prefix"},
	} {
		s.check(t)
	}
}

// Who may only use config/ exports and imports it. Who may not know which
// store it is leaves that out.
func TestExportPermissions(t *testing.T) {
	url := plainBroker(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "store", Password: "x"},
			{Username: "user", Password: "x", Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: []string{"kv.list.config", "kv.list.config.>", "batch.apply.config"}},
				Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
			}},
		}
	})
	p := start(t, "serve", "--engine", "memory", "--nats-url", url, "--user", "store", "--password", "x")
	t.Cleanup(func() {
		p.stop()
		p.end()
	})
	p.ready()
	t.Setenv("NATS_URL", url)
	t.Setenv("NATS_USER", "user")
	t.Setenv("NATS_PASSWORD", "x")
	step{args: "import -", stdin: `{"key":"config/a","value":"1"}` + "\n" + `{"key":"config/b","value":"2"}`, stdout: "imported 2 keys\n"}.check(t)
	step{args: "export config/", stdout: "~{\"sett_export\":1,\"store_revision\":2,"}.check(t)
	step{args: "export", code: 5, stderr: "~kv.list: denied"}.check(t)
	step{args: "import -", stdin: `{"key":"other/a","value":"1"}`, code: 5, stderr: "~nothing was imported\n      the NATS server does not allow"}.check(t)
}
