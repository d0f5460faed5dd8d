package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// step is a command line and what it must do. What begins with "~" in a
// wanted output may stand anywhere in it, anything else is all of it.
type step struct {
	args   string // by spaces; ' quotes
	stdin  string
	code   int
	stdout string
	stderr string
}

func TestVerbs(t *testing.T) {
	for name, steps := range map[string][]step{
		"set and get": {
			{args: "kv set config/host 10.0.0.1", stdout: "set config/host (revision 1, new)\n"},
			{args: "kv get config/host", stdout: "10.0.0.1"},
			{args: "kv get config/host -o raw", stdout: "10.0.0.1"},
			{args: "kv get config/host -o table", stdout: "KEY          REVISION  EXPIRES  VALUE\nconfig/host  1                  10.0.0.1\n"},
			{args: "kv get --key config/host", stdout: "10.0.0.1"},
			{args: "kv put config/host 10.0.0.2 --previous", stdout: "set config/host (revision 2)\nbefore: 10.0.0.1 (revision 1)\n"},
			{args: "kv set config/host 10.0.0.3 -o raw", stdout: "3\n"},
			{args: "kv set config/host 10.0.0.4 -q", stdout: ""},
			{args: "kv set other x --previous", stdout: "set other (revision 5, new)\nthere was nothing before\n"},
			{args: "kv get nope", code: 3, stderr: "sett: kv.get: not_found: there is no key \"nope\"\n"},
		},
		"values": {
			{args: "kv set a -", stdin: "from stdin\n", stdout: "~new"},
			{args: "kv get a", stdout: "from stdin\n"},
			{args: "kv set a --value -5", stdout: "~revision 2"},
			{args: "kv set a --value @home", stdout: "~revision 3"},
			{args: "kv get a", stdout: "@home"},
			{args: "kv set a ''", stdout: "~revision 4"},
			{args: "kv get a", stdout: ""},
			{args: "kv set a @/no/such/file", code: 1, stderr: "~no such file"},
			{args: "kv set b -", stdin: "\x00\xff", stdout: "~new"},
			{args: "kv get b", stdout: "\x00\xff"},
			{args: "kv ls --values b", stdout: "~(2 bytes, binary)"},
			{args: "kv set b -", stdin: strings.Repeat("x", 600<<10), code: 2, stderr: "~too_large"},
		},
		"conditions": {
			{args: "kv set k 1 --create", stdout: "~new"},
			{args: "kv set k 2 --create", code: 4, stderr: "~read it again"},
			{args: "kv set k 2 --if-revision 1", stdout: "~revision 2"},
			{args: "kv set k 3 --if-revision 1", code: 4, stderr: "~kv.set: conflict"},
			{args: "kv rm k --if-revision 1", code: 4, stderr: "~revision 2"},
			{args: "kv touch k --if-revision 9", code: 4, stderr: "~conflict"},
			{args: "kv increment k --if-revision 2", stdout: "3\n"},
			{args: "kv increment k --create", code: 4, stderr: "~conflict"},
			{args: "kv set k 3 --create --if-revision 1", code: 2, stderr: "~--create and --if-revision do not go together"},
			{args: "kv set k 3 --if-revision -1", code: 2, stderr: "~must be a revision"},
		},
		"time to live": {
			{args: "kv set k 1 --ttl 1h", stdout: "~expires in 1h"},
			{args: "kv set k 2 --keep-ttl", stdout: "~expires in"},
			{args: "kv touch k", stdout: "~expires in 1h"},
			{args: "kv touch k --ttl 7d", stdout: "~expires in 7d"},
			{args: "kv touch k --ttl 0", stdout: "touched k (revision 2, never expires)\n"},
			{args: "kv touch nope", code: 3, stderr: "~not_found"},
			{args: "kv set k 1 --ttl 5", code: 2, stderr: "~--ttl: must be a duration"},
			{args: "kv set k 1 --ttl 1ms", code: 2, stderr: "~ttl_ms: must be at least"},
			{args: "kv set k 1 --ttl 1h --keep-ttl", code: 2, stderr: "~keep_ttl"},
		},
		"increment": {
			{args: "kv increment n", stdout: "1\n"},
			{args: "kv incr n --by -5", stdout: "-4\n"},
			{args: "kv incr n --by 0", code: 2, stderr: "~--by: must not be 0"},
			{args: "kv incr n -o json", stdout: "~\"value\":-3"},
			{args: "kv incr n -o raw", stdout: "-2\n"},
			{args: "kv set n x -q"},
			{args: "kv incr n", code: 2, stderr: "~invalid"},
		},
		"several keys": {
			{args: "kv set c/a 1 -q"},
			{args: "kv set c/b 2 -q"},
			{args: "kv get c/a c/b -o raw", stdout: "1\n2\n"},
			{args: "kv get c/b c/a", stdout: "KEY  REVISION  EXPIRES  VALUE\nc/b  2                  2\nc/a  1                  1\n"},
			{args: "batch get c/a d", code: 3, stdout: "~c/a", stderr: "~no such key: d"},
			{args: "kv get --keys c/a,c/b -o raw", stdout: "1\n2\n"},
			{args: "kv get", code: 2, stderr: "~KEY is missing"},
		},
		"list": {
			{args: "kv list", stderr: "no keys\n"},
			{args: "kv set c/a 1 -q"},
			{args: "kv set c/b 2 -q"},
			{args: "kv set d 3 -q"},
			{args: "kv ls -o raw", stdout: "c/a\nc/b\nd\n"},
			{args: "kv ls c/ --values", stdout: "KEY  REVISION  EXPIRES  VALUE\nc/a  1                  1\nc/b  2                  2\n"},
			{args: "kv ls --reverse -o raw", stdout: "d\nc/b\nc/a\n"},
			{args: "kv ls --tree -o raw", stdout: "c/\nd\n"},
			{args: "kv ls --delimiter / -o raw", stdout: "c/\nd\n"},
			{args: "kv ls --after c/a -o raw", stdout: "c/b\nd\n"},
			{args: "kv ls --limit 2 -o raw", stdout: "c/a\nc/b\n", stderr: "~there is more: --cursor "},
			{args: "kv ls --limit 2 -q -o raw", stdout: "c/a\nc/b\n"},
			{args: "kv ls --prefix c/ -o raw", stdout: "c/a\nc/b\n"},
			{args: "kv ls --limit -1", code: 2, stderr: "~limit"},
			{args: "kv ls --cursor nonsense", code: 2, stderr: "~cursor"},
			{args: "kv ls a b", code: 2, stderr: "~too many arguments"},
		},
		"delete": {
			{args: "kv set c/a 1 -q"},
			{args: "kv set c/b 2 -q"},
			{args: "kv set d 3 -q"},
			{args: "kv delete d --previous", stdout: "deleted d (revision 4)\nbefore: 3 (revision 3)\n"},
			{args: "kv del d", stdout: "d was not there\n"},
			{args: "kv rm --prefix c/", code: 2, stderr: "~--yes"},
			{args: "kv rm --prefix c/ --dry-run", stdout: "c/a\nc/b\n", stderr: "2 keys would be deleted\n"},
			{args: "kv rm --prefix c/ --limit 1 --yes", stdout: "deleted 1 key\n"},
			{args: "kv clear c/ --yes", stdout: "deleted 1 key\n"},
			{args: "kv clear c/ --yes -o raw", stdout: "0\n"},
			{args: "kv set c/a 1 -q"},
			{args: "kv clear c/ -y -o json", stdout: "~\"deleted\":1"},
			{args: "kv clear", code: 2, stderr: "~PREFIX"},
			{args: "kv rm", code: 2, stderr: "~KEY is missing"},
			{args: "kv rm a --prefix b", code: 2, stderr: "~does not go with"},
			{args: "kv rm a b --if-revision 1", code: 2, stderr: "~one key"},
			{args: "kv rm a --dry-run", code: 2, stderr: "~--prefix"},
			{args: "kv rm a b -o raw", stdout: "0\n0\n"},
		},
		"services": {
			{args: "svc register web --address 10.0.0.7 --port 80 --tag a --tags b,c --meta zone=1 --note 'all well'", stdout: "registered web 10.0.0.7:80 (revision 1, new)\n"},
			{args: "svc register web --id x --ttl 1h --status critical", stdout: "~registered web x (revision 2, new, expires in"},
			{args: "svc get web", stdout: "ID           ADDRESS      STATUS   TAGS   META    TTL  EXPIRES  REVISION  NOTE\n10.0.0.7:80  10.0.0.7:80  passing  a,b,c  zone=1                1         all well\n"},
			{args: "svc get web --statuses passing,warning,critical -o raw", stdout: "10.0.0.7:80\nx\n"},
			{args: "svc get web --status critical -o raw", stdout: "x\n"},
			{args: "svc get web --tag c --meta zone=1 -o raw", stdout: "10.0.0.7:80\n"},
			{args: "svc get web --meta zone=2", stderr: "no instances\n"},
			{args: "svc get web --id 10.0.0.7:80 -o raw", stdout: "10.0.0.7:80\n"},
			{args: "svc get web --pick rendezvous --pick-key k --limit 1 -o raw", stdout: "10.0.0.7:80\n"},
			{args: "svc get web --pick best", code: 2, stderr: "~pick"},
			{args: "svc list", stdout: "NAME  INSTANCES  TAGS\nweb   2          a,b,c\n"},
			{args: "svc ls w -o raw", stdout: "web\n"},
			{args: "svc heartbeat web x --status warning --note slow", stdout: "~renewed web x (revision 3"},
			{args: "svc heartbeat web gone", code: 3, stderr: "~register"},
			{args: "svc register web --create --address 10.0.0.7 --port 80", code: 4, stderr: "~conflict"},
			{args: "svc register web", code: 2, stderr: "~id: is required"},
			{args: "svc deregister web x --if-revision 1", code: 4, stderr: "~conflict"},
			{args: "svc deregister web x", stdout: "deregistered web x (revision 4)\n"},
			{args: "svc rm web x", stdout: "web x was not there\n"},
			{args: "svc rm web x -o json", stdout: "~\"deregistered\":false"},
		},
		"batch": {
			{args: "batch apply -", stdin: `{"ops":[{"op":"kv.set","key":"a/x","value":"1"},{"op":"kv.increment","key":"a/n"}]}`,
				stdout: "OP            ON   REVISION  RESULT\nkv.set        a/x  1         created\nkv.increment  a/n  2         is 1\n"},
			{args: "batch apply -", stdin: `[{"op":"svc.register","name":"web","id":"1"}]`, stdout: "~registered"},
			{args: "batch apply - -q", stdin: "{\"op\":\"kv.touch\",\"key\":\"a/x\"}\n\n{\"op\":\"kv.delete\",\"key\":\"a/x\"}\n"},
			{args: `batch apply --ops '{"op":"kv.delete","key":"a/x"}' -o raw`, stdout: "0\n"},
			{args: `batch apply --ops '{"op":"kv.delete","key":"a/n"}' --if a/n=99`, code: 4, stderr: "~if[0]"},
			{args: `batch apply --ops '{"op":"kv.delete","key":"a/n"}' --if svc:web:1=3 -o json`, stdout: "~\"deleted\":true"},
			{args: "batch apply -", stdin: `{"op":"kv.set","kex":"a"}`, code: 2, stderr: "~ops[0]: kex"},
			{args: "batch apply -", stdin: `nonsense`, code: 2, stderr: "~invalid"},
			{args: "batch apply -", stdin: `{"ops":[]}`, code: 2, stderr: "~ops"},
			{args: "batch apply", code: 2, stderr: "~FILE"},
			{args: "batch apply --ops x --if a", code: 2, stderr: "~--ops"},
		},
		"status": {
			{args: "status", stdout: "~ready            yes\n"},
			{args: "status -o raw", stdout: "ready\n"},
			{args: "status -o json", stdout: "~\"ready\":true"},
			{args: "status -q", stdout: ""},
			{args: "status x", code: 2, stderr: "~too many"},
		},
		"mistakes": {
			{args: "", stdout: "~sett serve"},
			{args: "kv", stdout: "~sett kv COMMAND"},
			{args: "kv frob", code: 2, stderr: "~there is no command \"sett kv frob\""},
			{args: "kv gte a", code: 2, stderr: "~did you mean get?"},
			{args: "frob", code: 2, stderr: "~`sett --help`"},
			{args: "kv set a", code: 2, stderr: "~VALUE is missing"},
			{args: "kv set a b c", code: 2, stderr: "~too many arguments"},
			{args: "kv set a b --bogus", code: 2, stderr: "~unknown flag: --bogus"},
			{args: "kv set '' b", code: 2, stderr: "sett: kv.set: invalid: key: must not be empty\n"},
			{args: "kv get a -o yaml", code: 2, stderr: "~--output"},
			{args: "kv get a --timeout 0s", code: 2, stderr: "~--timeout"},
			{args: "kv get a --subject-prefix kv", code: 2, stderr: "~--subject-prefix: \"kv\" is a root"},
			{args: "kv get a --subject-prefix elsewhere", code: 6, stderr: "~nobody answers"},
			{args: "kv get a --context nope", code: 2, stderr: "~unknown context"},
			{args: "kv get a --tlscert x", code: 2, stderr: "~go together"},
			{args: "kv get a -s nats://127.0.0.1:1", code: 6, stderr: "~no NATS server answers at nats://127.0.0.1:1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NATS_URL", serveMemory(t))
			for _, s := range steps {
				s.check(t)
			}
		})
	}
}

func (s step) check(t *testing.T) {
	t.Helper()
	got := sett(t, s.stdin, words(s.args)...)
	if got.code != s.code || !fits(got.stdout, s.stdout) || !fits(got.stderr, s.stderr) {
		t.Errorf("sett %s\ngot  %d, stdout %q, stderr %q\nwant %d, stdout %q, stderr %q",
			s.args, got.code, got.stdout, got.stderr, s.code, s.stdout, s.stderr)
	}
}

func fits(got, want string) bool {
	if part, ok := strings.CutPrefix(want, "~"); ok {
		return strings.Contains(got, part)
	}
	return got == want
}

// words splits a command line as a shell would.
func words(line string) (args []string) {
	var word strings.Builder
	quote, in := rune(0), false
	for _, r := range line + " " {
		switch {
		case r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, in = r, true
		case quote == 0 && r == ' ':
			if in {
				args = append(args, word.String())
			}
			word.Reset()
			in = false
		default:
			word.WriteRune(r)
			in = true
		}
	}
	return args
}

// With -o json each reply is one line that any JSON reader takes, an error
// reply too.
func TestJSON(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	for _, args := range []string{
		"kv set a/b 1", "kv set a/b 1 --create", "kv get a/b", "kv get x", "kv get a/b x", "kv list", "kv list --tree",
		"kv touch a/b", "kv increment n", "kv delete n", "svc register w --id 1", "svc heartbeat w 1", "svc get w",
		"svc list", "svc deregister w 1", "status",
	} {
		got := sett(t, "", append(words(args), "-o", "json")...)
		var reply map[string]any
		if strings.Count(got.stdout, "\n") != 1 || json.Unmarshal([]byte(got.stdout), &reply) != nil {
			t.Errorf("%s: printed %q", args, got.stdout)
		}
		if reply["epoch"] == nil || reply["store_revision"] == nil {
			t.Errorf("%s: no position in %s", args, got.stdout)
		}
		if failed := got.code != 0 && got.code != 3; failed != (reply["code"] != nil) && args != "kv get x" {
			t.Errorf("%s: status %d, but printed %s", args, got.code, got.stdout)
		}
	}
}

// A listing goes on where it stopped.
func TestPages(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	var ops []map[string]string
	for _, key := range strings.Split("a b c d e", " ") {
		ops = append(ops, map[string]string{"op": "kv.set", "key": key, "value": key})
	}
	in, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	sett(t, string(in), "batch", "apply", "-")
	first := sett(t, "", "kv", "list", "--limit", "2", "-o", "raw")
	_, cursor, _ := strings.Cut(strings.TrimSpace(first.stderr), "--cursor ")
	second := sett(t, "", "kv", "list", "--cursor", cursor, "-o", "raw")
	if got := first.stdout + second.stdout; got != "a\nb\nc\nd\ne\n" {
		t.Errorf("listed %q", got)
	}
	if second.stderr != "" {
		t.Errorf("there is no more, but it says %q", second.stderr)
	}
}

// The editor's text is written back, or kept where somebody else was faster.
func TestEdit(t *testing.T) {
	t.Setenv("NATS_URL", serveMemory(t))
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("VISUAL", "")
	editor := filepath.Join(t.TempDir(), "edit.sh")
	script := "#!/bin/sh\n[ -n \"$FAIL\" ] && exit 1\n[ -n \"$ADD\" ] && echo \"$ADD\" >> \"$1\"\nexit 0\n"
	if err := os.WriteFile(editor, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("EDITOR", editor)
	step{args: "kv edit a", stdout: "a is unchanged\n"}.check(t)
	t.Setenv("ADD", "one")
	step{args: "kv edit a", stdout: "set a (revision 1)\n"}.check(t)
	step{args: "kv get a", stdout: "one"}.check(t)
	step{args: "kv set a - --ttl 1h -q", stdin: "zero\n"}.check(t)
	step{args: "kv edit a", stdout: "~set a (revision 3, expires in"}.check(t)
	step{args: "kv get a", stdout: "zero\none\n"}.check(t)
	t.Setenv("FAIL", "yes")
	step{args: "kv edit a", code: 1, stderr: "~nothing was written"}.check(t)
	if left, _ := filepath.Glob(os.Getenv("TMPDIR") + "/sett-edit-*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEditConflict(t *testing.T) {
	url := serveMemory(t)
	t.Setenv("NATS_URL", url)
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("VISUAL", "")
	t.Setenv("EDITOR", "f() { echo mine > \"$1\"; "+os.Args[0]+" -test.run=TestAsSett -- kv set a theirs -q -s "+url+"; }; f")
	t.Setenv("TEST_AS_SETT", "1")
	got := sett(t, "", "kv", "edit", "a")
	if got.code != 4 {
		t.Fatalf("status %d, %q", got.code, got.stderr)
	}
	_, file, _ := strings.Cut(strings.SplitN(got.stderr, "\n", 2)[0], "your text is in ")
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "mine\n" {
		t.Errorf("%s has %q: %v", file, text, err)
	}
	step{args: "kv get a", stdout: "theirs"}.check(t)
}

// TestAsSett is the program itself, for tests that need another process.
func TestAsSett(t *testing.T) {
	if os.Getenv("TEST_AS_SETT") == "" {
		t.Skip("for other tests")
	}
	for i, arg := range os.Args {
		if arg == "--" {
			os.Exit(run(t.Context(), os.Args[i+1:], os.Stdin, os.Stdout, os.Stderr))
		}
	}
}
