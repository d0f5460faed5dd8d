package integration

import (
	"go/ast"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// What files and functions should not pass; it is reported and fails nothing.
const (
	maxFileLines     = 400
	maxFunctionLines = 70
)

// TestLintSizes reports what is long.
func TestLintSizes(t *testing.T) {
	for _, s := range sources(t) {
		if n := strings.Count(string(s.text), "\n"); n > maxFileLines {
			t.Logf("%s has %d lines, more than %d", s.path, n, maxFileLines)
		}
		for _, decl := range s.ast.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			first, last := fset.Position(f.Pos()), fset.Position(f.End())
			if n := last.Line - first.Line + 1; n > maxFunctionLines {
				t.Logf("%v: %s has %d lines, more than %d", first, f.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

// TestLintDocuments: DESIGN.md stands in engine and consumer only, and stays
// short, as does the README.
func TestLintDocuments(t *testing.T) {
	for _, name := range []string{"README.md", "engine/DESIGN.md", "consumer/DESIGN.md"} {
		text, err := os.ReadFile("../" + name)
		if err != nil {
			t.Errorf("%s is missing: %v", name, err)
			continue
		}
		if n := strings.Count(string(text), "\n"); n > 150 {
			t.Errorf("%s has %d lines, more than 150", name, n)
		}
	}
}

// topFolders and topFiles are what DESIGN 2 allows at the top.
var (
	topFolders = []string{"cmd", "consumer", "codec", "engine", "subjects", "integration"}
	topFiles   = []string{"go.mod", "go.sum", "Makefile", "docker-compose.yml", "README.md", "LICENSE", "CHANGELOG.md", "Dockerfile"}
)

// TestLintTop: no other folder and no residue at the top. What git ignores is
// nobody's business.
func TestLintTop(t *testing.T) {
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	ignored := []string{"sett", "sett-data", "dist"}
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."), slices.Contains(ignored, name):
		case e.IsDir() && !slices.Contains(topFolders, name):
			t.Errorf("there is no place for the folder %s at the top", name)
		case !e.IsDir() && !slices.Contains(topFiles, name):
			t.Errorf("there is no place for the file %s at the top", name)
		}
	}
	for _, name := range slices.Concat(topFolders, topFiles) {
		if _, err := os.Stat("../" + name); err != nil {
			t.Errorf("%s is missing", name)
		}
	}
}

// mayPanic are the functions that panic over a mistake in this program, which
// its first run shows.
var mayPanic = []string{
	"codec planOf", "codec add", "codec addField", // a type that cannot go over the wire
	"engine opPath",                         // a command without a path
	"engine remove",                         // a record that was there a moment ago: better no store than a wrong one
	"engine mustCrypt",                      // a key of a size that no caller has
	"cmd/sett fromEnv", "cmd/sett addField", // a flag that does not exist
	"cmd/sett options", // a key that this process has made
}

// TestLintPanics: no init functions, and panics only where they are listed.
func TestLintPanics(t *testing.T) {
	used := make(map[string]bool)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, decl := range s.ast.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			if f.Name.Name == "init" && f.Recv == nil {
				t.Errorf("%v: an init function: make it explicit", fset.Position(f.Pos()))
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || called(call) != "panic" {
					return true
				}
				name := s.dir + " " + f.Name.Name
				if used[name] = true; !slices.Contains(mayPanic, name) {
					t.Errorf("%v: a panic: return an error, or say in mayPanic why not", fset.Position(call.Pos()))
				}
				return true
			})
		}
	}
	for _, name := range mayPanic {
		if !used[name] {
			t.Errorf("mayPanic has %q, which does not panic", name)
		}
	}
}

// TestLintComments: every package says what it is for, and every exported name
// is documented, beginning with the name.
func TestLintComments(t *testing.T) {
	packages := make(map[string]bool)
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if s.ast.Doc != nil {
			text := s.ast.Doc.Text()
			want := "Package " + s.ast.Name.Name + " "
			if s.ast.Name.Name == "main" {
				want = "Command "
			}
			if !strings.HasPrefix(text, want) {
				t.Errorf("%s: the package comment does not begin with %q", s.path, want)
			}
		}
		packages[s.dir] = packages[s.dir] || s.ast.Doc != nil
		if s.ast.Name.Name == "main" {
			continue // nobody imports it
		}
		for _, decl := range s.ast.Decls {
			checkDocumented(t, decl)
		}
	}
	for dir, documented := range packages {
		if !documented {
			t.Errorf("the package in %s has no comment", dir)
		}
	}
}

// checkDocumented looks at one declaration.
func checkDocumented(t *testing.T, decl ast.Decl) {
	t.Helper()
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && ofExported(d) {
			checkDoc(t, d.Pos(), d.Name.Name, d.Doc)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if doc := s.Doc; s.Name.IsExported() && doc == nil {
					checkDoc(t, s.Pos(), s.Name.Name, d.Doc)
				} else if s.Name.IsExported() {
					checkDoc(t, s.Pos(), s.Name.Name, doc)
				}
			case *ast.ValueSpec:
				if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					t.Errorf("%v: %s is exported and not documented", fset.Position(s.Pos()), s.Names[0].Name)
				}
			}
		}
	}
}

// ofExported says whether a function is none of an unexported type.
func ofExported(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return true
	}
	typ := f.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// checkDoc wants a comment that begins with the name.
func checkDoc(t *testing.T, pos token.Pos, name string, doc *ast.CommentGroup) {
	t.Helper()
	switch text := doc.Text(); {
	case text == "":
		t.Errorf("%v: %s is exported and not documented", fset.Position(pos), name)
	case !strings.HasPrefix(text, name+" ") && !strings.HasPrefix(text, name+",") && !strings.HasPrefix(text, name+"'"):
		t.Errorf("%v: the comment of %s begins with %q", fset.Position(pos), name, strings.SplitN(text, " ", 3)[:2])
	}
}
