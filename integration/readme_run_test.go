package integration

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/subjects"
)

// TestREADMECommands runs every command of the README's shell blocks, in their
// order, against one new store; what it cannot run it must recognise.
func TestREADMECommands(t *testing.T) {
	s := &session{t: t, p: serve(t), dir: t.TempDir()}
	s.nc = s.p.connect()
	for _, b := range blocks(t) {
		switch b.language {
		case "sh", "console", "bash":
			for _, line := range b.lines {
				s.line(line)
			}
		case "go":
			checkGoBlock(t, b)
		case "ts":
			checkSubjects(t, b)
		default:
			t.Errorf("a block in %q: no test knows what to do with it", b.language)
		}
	}
	s.end()
	if s.commands == 0 {
		t.Error("the README has no commands")
	}
}

// session runs the README's commands.
type session struct {
	t        *testing.T
	dir      string // where commands write files
	p        *process
	nc       *nats.Conn
	commands int
	watches  []*background
}

// background is a command that goes on until the session's end.
type background struct {
	line  string
	cmd   *exec.Cmd
	out   printed
	notes printed // on the standard error
	sub   *nats.Subscription
}

// printed is what a running process has printed so far.
type printed struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write takes what the process prints.
func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// String is what it has printed.
func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// line runs one line of a shell block.
func (s *session) line(line string) {
	s.t.Helper()
	line, behind := strings.CutSuffix(strings.TrimSpace(cutComment(line)), "&") // goes on behind the next ones
	words := splitWords(line)
	if len(words) == 0 {
		return
	}
	s.commands++
	switch words[0] {
	case "./sett", "sett":
		s.sett(line, words[1:], behind)
	case "nats":
		s.nats(line, words[1:])
	case "make":
		s.make(words[1:])
	case "go":
		if target := words[len(words)-1]; words[1] != "build" || !isDir("../"+target) {
			s.t.Errorf("README: `%s`: %s is nothing to build", line, target)
		}
	default:
		s.t.Errorf("README: `%s` is not recognised", line)
	}
}

// sett runs a command of the binary: servers and what runs behind the others
// go on, the rest must succeed.
func (s *session) sett(line string, args []string, behind bool) {
	s.t.Helper()
	switch {
	case args[0] == "serve":
		s.serve(args[1:])
	case behind:
		b := &background{line: line, cmd: exec.Command(binary(s.t), append([]string{"-s", s.p.url}, args...)...)}
		b.cmd.Stdout, b.cmd.Stderr = &b.out, &b.notes
		b.cmd.Dir = s.dir
		dieWithUs(b.cmd)
		if err := b.cmd.Start(); err != nil {
			s.t.Fatal(err)
		}
		s.watches = append(s.watches, b)
		eventually(s.t, patience, func() error {
			if b.notes.String() == "" && b.out.String() == "" {
				return fmt.Errorf("`%s` does not say that it has begun", line)
			}
			return nil
		})
	default:
		cmd := exec.Command(binary(s.t), append([]string{"-s", s.p.url}, args...)...)
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil || len(out) == 0 {
			s.t.Errorf("README: `%s`: %v: %s", line, err, out)
		}
	}
}

// serve tries flags of `sett serve` on a data directory of its own and, where
// they name a broker, on one of the test's.
func (s *session) serve(flags []string) {
	s.t.Helper()
	if i := slices.Index(flags, "--nats-url"); i >= 0 {
		flags = append(slices.Clone(flags), "--listen", "")
		flags[i+1] = startBroker(s.t).url
	}
	serve(s.t, flags...).stop()
}

// nats does what the nats command line would do: it is not at hand here.
func (s *session) nats(line string, args []string) {
	s.t.Helper()
	switch {
	case args[0] == "req" && len(args) == 3:
		if a := ask(s.t, s.nc, args[1], []byte(args[2])); a.refused() {
			s.t.Errorf("README: `%s` answers %s", line, a.raw)
		}
	case args[0] == "sub" && len(args) == 2:
		sub, err := s.nc.SubscribeSync(args[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.watches = append(s.watches, &background{line: line, sub: sub})
		must(s.t, s.nc, "kv.set", obj{"key": "config/readme", "value": "1"})
	case args[0] == "sub" && len(args) == 6 && args[1] == "--stream" && args[4] == "--start-sequence":
		s.stream(line, args[2], args[3], args[5])
	default:
		s.t.Errorf("README: `%s` is not recognised", line)
	}
}

// stream reads a stream as `nats sub --stream` does, from a sequence on.
func (s *session) stream(line, stream, filter, from string) {
	s.t.Helper()
	js, err := s.nc.JetStream()
	if err != nil {
		s.t.Fatal(err)
	}
	first, err := strconv.ParseUint(from, 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	sub, err := js.SubscribeSync(filter, nats.BindStream(stream), nats.OrderedConsumer(), nats.StartSequence(first))
	if err != nil {
		s.t.Fatalf("README: `%s`: %v", line, err)
	}
	s.watches = append(s.watches, &background{line: line, sub: sub})
}

// make checks that the Makefile has the target and tells what it is for.
func (s *session) make(targets []string) {
	s.t.Helper()
	text, err := os.ReadFile("../Makefile")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, target := range targets {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:.*## `).Match(text) {
			s.t.Errorf("README: the Makefile has no target %s", target)
		}
	}
}

// end checks that whatever watched has seen something.
func (s *session) end() {
	s.t.Helper()
	for _, b := range s.watches {
		if b.sub != nil {
			if m, err := b.sub.NextMsg(time.Second); err != nil || m.Data[0] != '{' {
				s.t.Errorf("README: `%s` shows nothing that can be read: %v", b.line, err)
			}
			continue
		}
		b.cmd.Process.Kill()
		b.cmd.Wait()
		watches := strings.HasPrefix(b.line, "./sett watch")
		if b.out.String() == "" || watches && !strings.Contains(b.out.String(), "config/host") {
			s.t.Errorf("README: `%s` has shown %q", b.line, b.out.String())
		}
	}
}

// cutComment takes a comment off a line of shell.
func cutComment(line string) string {
	quoted := false
	for i, c := range line {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == '#' && !quoted && (i == 0 || line[i-1] == ' '):
			return line[:i]
		}
	}
	return line
}

// splitWords splits a line of shell, which has no quotes but single ones.
func splitWords(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

// isDir says whether a path is a folder.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// checkGoBlock parses a piece of Go and looks up what it takes of our
// packages. That it runs is what the examples of subjects show.
func checkGoBlock(t *testing.T, b block) {
	t.Helper()
	text := "package p\nfunc f() {\n" + strings.Join(b.lines, "\n") + "\n}\n"
	f, err := parser.ParseFile(token.NewFileSet(), "README.md", text, 0)
	if err != nil {
		t.Errorf("README: a block of Go cannot be parsed: %v", err)
		return
	}
	names := exported(t)
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			x, _ := sel.X.(*ast.Ident)
			if x != nil && (x.Name == "subjects" || x.Name == "codec") && !names[x.Name+"."+sel.Sel.Name] {
				t.Errorf("README: there is no %s.%s", x.Name, sel.Sel.Name)
			}
			if x != nil && x.Name == "store" && !names["subjects.Client."+sel.Sel.Name] {
				t.Errorf("README: the client has no method %s", sel.Sel.Name)
			}
		}
		return true
	})
}

// exported are the names of our packages, and methods behind their type.
func exported(t *testing.T) map[string]bool {
	names := make(map[string]bool)
	for _, s := range sources(t) {
		pkg := s.ast.Name.Name + "."
		for _, decl := range s.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				names[pkg+receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, name := range declared(d) {
					names[pkg+name] = true
				}
			}
		}
	}
	return names
}

// receiver is the type of a method, with a dot behind it.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

// declared are the types, constants and variables of a declaration.
func declared(d *ast.GenDecl) (names []string) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			names = append(names, s.Name.Name)
		case *ast.ValueSpec:
			for _, name := range s.Names {
				names = append(names, name.Name)
			}
		}
	}
	return names
}

// quotedSubject finds our subjects in a piece of another language.
var quotedSubject = regexp.MustCompile(`"((?:kv|svc|batch|store)\.[^"]*)"`)

// checkSubjects checks that the subjects in a piece of another language are
// the contract's.
func checkSubjects(t *testing.T, b block) {
	t.Helper()
	found := quotedSubject.FindAllStringSubmatch(strings.Join(b.lines, "\n"), -1)
	for _, match := range found {
		info, _ := subjects.Parse(match[1])
		announced := slices.ContainsFunc(subjects.Events(), func(e *subjects.EventInfo) bool {
			return strings.HasPrefix(match[1], e.Subject+".")
		})
		if info == nil && !announced {
			t.Errorf("README: %s is none of the contract's subjects", match[1])
		}
	}
	if len(found) == 0 {
		t.Errorf("README: a block in %s asks nothing", b.language)
	}
}
