package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// linesOf writes lines of keys k0000, k0001, ...
func linesOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"key":"k%04d","value":"%d"}`+"\n", i, i)
	}
	return b.String()
}

// inFile writes a file, and returns its name.
func inFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A bad line of a file is found before anything is applied, and all of them
// are told at once.
func TestImportBadFile(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	bad := inFile(t, linesOf(1500)+"nonsense\n"+`{"key":"","value":""}`+"\n")
	step{args: "import " + bad, code: 2, stderr: "sett: " + bad + `:1501: is no JSON object, such as {"key":"config/host","value":"10.0.0.1"}` + "\n" +
		"      " + bad + ":1502: key: must not be empty\n      nothing was imported\n"}.check(t)
	many := inFile(t, strings.Repeat("nonsense\n", 20))
	got := sett(t, "", "import", many)
	if got.code != 2 || strings.Count(got.stderr, "in.jsonl:") != mostBad || !strings.Contains(got.stderr, "and more") {
		t.Errorf("status %d: %s", got.code, got.stderr)
	}
	step{args: "import -", stdin: linesOf(3), stdout: "imported 3 keys\n"}.check(t)
	export := sett(t, "", "export").stdout
	do(t, "kv rm --prefix k -y")
	for _, cut := range []int{len(export) - 5, strings.LastIndex(export, `{"sett`), strings.Index(export, `{"key":"k0002`)} {
		step{args: "import " + inFile(t, export[:cut]), code: 2, stderr: "~nothing was imported"}.check(t)
	}
	far := inFile(t, `{"key":"a","value":"","expires_at_ms":9007199254740991}`)
	step{args: "import " + far, code: 2, stderr: "~:1: expires_at_ms: is more than"}.check(t)
	step{args: "kv list", stderr: "no keys\n"}.check(t)
	step{args: "import " + t.TempDir(), code: 1, stderr: "~is a directory"}.check(t)
	step{args: "import /no/such/file", code: 1, stderr: "~no such file"}.check(t)
}

// Without a limit a list goes on over all pages.
func TestListsAreWhole(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	step{args: "import -", stdin: linesOf(2500), stdout: "imported 2500 keys\n"}.check(t)
	for args, want := range map[string]int{"kv list -o raw": 2500, "kv list -o raw --limit 2200": 2200, "kv list -o raw --limit 10": 10} {
		if got := sett(t, "", strings.Fields(args)...); got.code != 0 || strings.Count(got.stdout, "\n") != want {
			t.Errorf("%s: status %d, %d lines, want %d; %s", args, got.code, strings.Count(got.stdout, "\n"), want, got.stderr)
		}
	}
}

// What stops in between says where to go on.
func TestImportResume(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	good := linesOf(2500)
	bad := strings.Replace(good, `{"key":"k2200",`, `{"kex":"k2200",`, 1)
	step{args: "import -", stdin: bad, code: 2, stderr: "sett: stdin:2201: has neither a key nor the name of a service\n" +
		"      lines 1 to 2,000 are imported; go on with --from-line 2001\n"}.check(t)
	step{args: "kv list -o raw --after k1998", stdout: "k1999\n"}.check(t)
	step{args: "import - --from-line 2001", stdin: good, stdout: "imported 500 keys\n"}.check(t)
	step{args: "kv list -o raw --after k2498", stdout: "k2499\n"}.check(t)
	step{args: "import - --from-line 2001", stdin: bad, code: 2, stderr: "~lines 1 to 2,000 are imported; go on with --from-line 2001\n"}.check(t)
	step{args: "import - --from-line 2501 -o json", stdin: good, stdout: "~{\"keys\":0,"}.check(t)
	step{args: "import -", stdin: "nonsense\n" + good, code: 2, stderr: "~nothing was imported\n"}.check(t)
	step{args: "import - --dry-run", stdin: bad, code: 2, stderr: "~stdin:2201: "}.check(t)
	export := sett(t, "", "export").stdout
	step{args: "import -", stdin: export[:len(export)/2], code: 2, stderr: "~lines 1 to 1,001 are imported; go on with --from-line 1002\n"}.check(t)
}

func TestImportDryRun(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	file := inFile(t, linesOf(1200)+`{"name":"w","id":"1"}`+"\n"+`{"key":"old","value":"","expires_at_ms":1}`)
	before := sett(t, "", "status", "-o", "json").stdout
	step{args: "import --dry-run " + file, stdout: "would import 1200 keys and 1 instance (1 expired by now)\n"}.check(t)
	step{args: "import --dry-run --fresh-ttl -o json -", stdin: `{"key":"old","value":"","ttl_ms":1000,"expires_at_ms":1}`,
		stdout: "{\"keys\":1,\"instances\":0,\"expired\":0,\"conflicts\":0,\"dry_run\":true}\n"}.check(t)
	step{args: "import --dry-run -s nats://127.0.0.1:1 " + file, stdout: "~would import 1200"}.check(t) // it asks nobody
	revision := func(status string) string {
		_, rest, _ := strings.Cut(status, `"store_revision":`)
		return strings.SplitN(rest, ",", 2)[0]
	}
	if after := sett(t, "", "status", "-o", "json").stdout; revision(after) != revision(before) || revision(after) != "0" {
		t.Errorf("the store was at %s and is at %s", revision(before), revision(after))
	}
	step{args: "kv list", stderr: "no keys\n"}.check(t)
}

// With --create what is there stays, and a second line of a key finds the
// first one there.
func TestImportCreate(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	do(t, "kv set k0007 mine")
	do(t, "svc register w --id 1 --note mine")
	lines := linesOf(1500) + `{"key":"k0003","value":"twice"}` + "\n" + `{"name":"w","id":"1","note":"theirs"}` + "\n" + `{"name":"w","id":"2"}`
	step{args: "import - --create", stdin: lines, stdout: "imported 1499 keys and 1 instance (3 there already)\n",
		stderr: "k0007 is there already\nk0003 is there already\nw 1 is there already\n"}.check(t)
	step{args: "kv get k0007", stdout: "mine"}.check(t)
	step{args: "kv get k0003", stdout: "3"}.check(t)
	step{args: "svc get w", stdout: "~mine"}.check(t)
	step{args: "import - --create -q -o raw", stdin: lines, stdout: "0\n"}.check(t)
	step{args: "import - -q", stdin: lines}.check(t)
	step{args: "kv get k0003", stdout: "twice"}.check(t)
	step{args: "import - --create -q", stdin: `{"key":"x","value":"1"}` + "\n" + `{"key":"x","value":"2"}`}.check(t)
	step{args: "kv get x", stdout: "1"}.check(t)
}

// A key keeps its deadline, and what is past is not brought back.
func TestImportTTL(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	soon := time.Now().Add(time.Hour).UnixMilli()
	lines := fmt.Sprintf(`{"key":"soon","value":"1","ttl_ms":7200000,"expires_at_ms":%d}
{"key":"past","value":"1","ttl_ms":7200000,"expires_at_ms":%d}
{"key":"whole","value":"1","ttl_ms":7200000}
{"name":"w","id":"past","ttl_ms":7200000,"expires_at_ms":1}`, soon, time.Now().UnixMilli()-1)
	step{args: "import -", stdin: lines, stdout: "imported 2 keys (2 expired)\n"}.check(t)
	step{args: "kv get past", code: 3, stderr: "~not_found"}.check(t)
	step{args: "kv touch whole", stdout: "~expires in 2h"}.check(t)
	for _, word := range strings.Split(strings.TrimSuffix(sett(t, "", "kv", "get", "soon", "-o", "json").stdout, "}\n"), ",") {
		if at, ok := strings.CutPrefix(word, `"expires_at_ms":`); ok {
			var ms int64
			fmt.Sscan(at, &ms)
			// Two clocks that each count whole milliseconds may differ by one.
			if late := ms - soon; late < -1 || late > patience.Milliseconds() {
				t.Errorf("it expires %d ms late", late)
			}
		}
	}
	step{args: "import - --fresh-ttl", stdin: lines, stdout: "imported 3 keys and 1 instance\n"}.check(t)
	step{args: "kv touch soon", stdout: "~expires in 2h"}.check(t)
}

// A batch ends at 1,000 records or 900 KiB, whatever they are.
func TestImportBatches(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	var b strings.Builder
	for i := range 40 { // no two of these fit one batch with the next
		fmt.Fprintf(&b, `{"key":"%03d","value":"%s"}`+"\n", i, strings.Repeat("v", 1+i*13_000))
	}
	for i := range 900 {
		fmt.Fprintf(&b, `{"name":"w","id":"%d","note":"%s","tags":["a","b"],"port":%d,"address":"h"}`+"\n", i, strings.Repeat("é", 512), 1+i)
	}
	step{args: "import -", stdin: b.String(), stdout: "imported 40 keys and 900 instances\n"}.check(t)
	step{args: "status", stdout: "~keys             40\ninstances        900\n"}.check(t)
}

func TestImportRefuses(t *testing.T) {
	for _, s := range []step{
		{args: "import", code: 2, stderr: "~wants one FILE"},
		{args: "import a b", code: 2, stderr: "~wants one FILE"},
		{args: "import a --from-line 0", code: 2, stderr: "~--from-line"},
		{args: "import a --skip-bad", code: 2, stderr: "~--skip-bad goes with --from"},
		{args: "import a --dots-to-slashes", code: 2, stderr: "~--dots-to-slashes goes with --from"},
		{args: "import --from nonsense", code: 2, stderr: "~must be jetstream:BUCKET"},
		{args: "import --from jetstream:", code: 2, stderr: "~must be jetstream:BUCKET"},
		{args: "import --from jetstream:b c d", code: 2, stderr: "~too many"},
		{args: "import --from jetstream:b --from-line 3", code: 2, stderr: "~is for files"},
		{args: "import - -s nats://127.0.0.1:1", stdin: linesOf(1), code: 6, stderr: "~no NATS server answers"},
	} {
		s.check(t)
	}
	t.Setenv("NATS_URL", plainBroker(t))
	step{args: "import -", stdin: linesOf(1), code: 6, stderr: "~      nothing was imported\n      asked on nats://"}.check(t)
}

func TestGrouped(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 41001: "41,001", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
