package integration

import (
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the path that all imports of our own begin with.
const module = "github.com/settkv/sett/"

// source is one Go file of the repository.
type source struct {
	path string // from the top, with slashes: "codec/wire.go"
	dir  string
	test bool
	text []byte
	ast  *ast.File
}

// fset places what is reported.
var fset = token.NewFileSet()

// parsed are all Go files of the repository, parsed once.
var parsed = sync.OnceValues(func() (all []*source, err error) {
	err = filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != "..") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel := filepath.ToSlash(strings.TrimPrefix(name, ".."+string(filepath.Separator)))
		s := &source{path: rel, dir: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go")}
		if s.text, err = os.ReadFile(name); err != nil {
			return err
		}
		s.ast, err = parser.ParseFile(fset, rel, s.text, parser.ParseComments)
		all = append(all, s)
		return err
	})
	return all, err
})

// sources are all Go files of the repository.
func sources(t *testing.T) []*source {
	t.Helper()
	all, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// imports lists what a file imports.
func (s *source) imports(t *testing.T) (paths []string) {
	t.Helper()
	for _, spec := range s.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	return paths
}

// under says whether a path is a folder or package or lies in it.
func under(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// The libraries that the arrows of DESIGN 2 are about.
const (
	badger     = "github.com/dgraph-io/badger"
	natsLib    = "github.com/nats-io/nats.go"
	natsServer = "github.com/nats-io/nats-server"
	natsAll    = "github.com/nats-io"
	msgpackLib = "github.com/vmihailenco/msgpack/v5"
)

// arrows are those of DESIGN 2: what the packages of a folder may import of
// our own, and which libraries they must not.
var arrows = []struct {
	folder string
	own    []string
	never  []string
	only   []string // where it is not nil: the only libraries
}{
	{folder: "codec", only: []string{msgpackLib}},
	{folder: "subjects", own: []string{"codec"}, only: []string{natsLib, "github.com/nats-io/nuid", msgpackLib}},
	{folder: "engine", own: []string{"codec", "engine"}, never: []string{natsAll}},
	{folder: "consumer", own: []string{"codec", "engine", "subjects", "consumer"}, never: []string{natsServer, badger}},
	{folder: "cmd", own: []string{"codec", "engine", "subjects", "consumer"}, never: []string{badger}},
	{folder: "integration", own: []string{"codec", "subjects"}, never: []string{badger}},
}

// TestLintImports holds the arrows. Tests may use more libraries, and those
// that look at a package from outside (package x_test) also more of our own;
// integration never.
func TestLintImports(t *testing.T) {
	for _, s := range sources(t) {
		known := false
		for _, a := range arrows {
			if !under(s.dir, a.folder) {
				continue
			}
			known = true
			outside := strings.HasSuffix(s.ast.Name.Name, "_test") && a.folder != "integration"
			for _, p := range s.imports(t) {
				own, isOwn := strings.CutPrefix(p, module)
				isIn := func(folder string) bool { return under(p, folder) }
				switch {
				case isOwn && !outside && !slices.ContainsFunc(a.own, func(folder string) bool { return under(own, folder) }) && !under(own, a.folder):
					t.Errorf("%s imports %s, against the arrows of DESIGN 2", s.path, own)
				case isOwn || s.test || !strings.Contains(p, "."):
				case slices.ContainsFunc(a.never, isIn), a.only != nil && !slices.ContainsFunc(a.only, isIn):
					t.Errorf("%s imports %s, which %s must not", s.path, p, a.folder)
				}
			}
		}
		if !known {
			t.Errorf("%s lies in none of the folders of DESIGN 2", s.path)
		}
	}
}

// TestLintBadger: nobody else knows Badger.
func TestLintBadger(t *testing.T) {
	var files []string
	for _, s := range sources(t) {
		if !s.test && slices.ContainsFunc(s.imports(t), func(p string) bool { return under(p, badger) }) {
			files = append(files, s.path)
		}
	}
	if slices.ContainsFunc(files, func(f string) bool { return !strings.HasPrefix(f, "engine/badger") }) {
		t.Errorf("engine/badger*.go import Badger, and these do: %v", files)
	}
}

// TestLintDependencies looks at what comes along with the packages, through
// any number of steps: codec and subjects are imported by other programs.
func TestLintDependencies(t *testing.T) {
	for _, c := range []struct {
		folder      string
		only, never []string
	}{
		{folder: "codec", only: []string{"github.com/vmihailenco"}},
		{folder: "engine", only: []string{""}, never: []string{natsAll}},
		{folder: "consumer", only: []string{""}, never: []string{natsServer}},
		{folder: "subjects", only: []string{"github.com/vmihailenco", natsLib, "github.com/nats-io/nuid", "github.com/nats-io/nkeys",
			"github.com/klauspost/compress", "golang.org/x/crypto", "golang.org/x/sys"}},
	} {
		cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./"+c.folder)
		cmd.Dir = ".."
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for p := range strings.FieldsSeq(string(out)) {
			isIn := func(folder string) bool { return folder == "" || under(p, folder) }
			if strings.HasPrefix(p, module) || slices.ContainsFunc(c.only, isIn) && !slices.ContainsFunc(c.never, isIn) {
				continue
			}
			t.Errorf("%s brings %s along", c.folder, p)
		}
	}
}

// instead names what to import instead of what nobody here imports.
var instead = map[string]string{
	"log":                               "log/slog",
	"math/rand":                         "math/rand/v2",
	"io/ioutil":                         "io and os",
	"github.com/pkg/errors":             "errors and fmt",
	"github.com/stretchr/testify":       "plain comparisons",
	"github.com/nats-io/nats.go/micro":  "consumer: micro loses the order between subjects",
	"encoding/gob":                      "codec",
	"github.com/vmihailenco/msgpack/v4": msgpackLib,
}

// TestLintForbidden finds what nobody here writes, and names the replacement.
func TestLintForbidden(t *testing.T) {
	for _, s := range sources(t) {
		for _, p := range s.imports(t) {
			for bad, good := range instead {
				if bad == "log" && path.Base(s.path) == "example_test.go" {
					continue // as examples of Go have it
				}
				if p == bad || strings.Contains(bad, ".") && under(p, bad) {
					t.Errorf("%s imports %s; take %s", s.path, p, good)
				}
			}
		}
		bench := under(s.dir, "integration/bench")
		ast.Inspect(s.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			name := called(call)
			where := fset.Position(call.Pos())
			switch {
			case name == "time.Sleep" && s.test && !bench:
				t.Errorf("%v: time.Sleep in a test: wait for the event, or poll with a deadline", where)
			case (name == "fmt.Println" || name == "fmt.Printf" || name == "fmt.Print") && !s.test && !bench && !under(s.dir, "cmd"):
				t.Errorf("%v: %s in a library: return it, or log through slog", where, name)
			case (name == "os.Exit" || strings.HasSuffix(name, ".Fatal")) && !s.test && !bench && s.path != "cmd/sett/main.go":
				t.Errorf("%v: %s: return an error; main decides", where, name)
			}
			return true
		})
	}
}

// called is the name of a called function: "time.Sleep", "panic".
func called(call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// TestLintFormat: gofmt has nothing to change.
func TestLintFormat(t *testing.T) {
	for _, s := range sources(t) {
		if want, err := format.Source(s.text); err != nil || string(want) != string(s.text) {
			t.Errorf("%s is not as gofmt writes it (%v)", s.path, err)
		}
	}
}
