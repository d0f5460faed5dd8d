package main

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
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
	for name, steps := range verbSteps {
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
	os.Args = os.Args[slices.Index(os.Args, "--"):]
	main()
}

// The first signal stops the store in order.
func TestSignals(t *testing.T) {
	t.Setenv("TEST_AS_SETT", "1")
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := &process{t: t, stderr: newFeed()}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=TestAsSett", "--",
			"serve", "--listen", "127.0.0.1:0", "--data-dir", t.TempDir())
		cmd.Stderr = p.stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		do(t, "kv set a 1 -s "+p.ready())
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v; %s", signal, err, p.stderr)
		}
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{"y\n": true, "Yes\n": true, "": false, "\n": false, "n\n": false, "yy\n": false} {
		a := &app{stdin: strings.NewReader(answer), stderr: io.Discard}
		if got := a.confirm("?"); got != want {
			t.Errorf("%q: %v", answer, got)
		}
	}
}

func TestPrintable(t *testing.T) {
	for value, want := range map[string]string{
		"": "", "plain ü": "plain ü", "a\x1b[31m\n\x00": `a\x1b[31m\n\x00`, "\xff": "(1 byte, binary)",
		strings.Repeat("x", 200): strings.Repeat("x", 100) + "... (200 bytes)",
	} {
		if got := printable([]byte(value)); got != want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 250 * time.Millisecond: "250ms", 29940 * time.Millisecond: "29.9s", time.Minute: "1m", 90 * time.Second: "1m30s",
		time.Hour: "1h", 100 * time.Minute: "1h40m", 7 * 24 * time.Hour: "7d",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
