package integration

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/settkv/sett/subjects"
)

// update writes the contract's table in the README anew (make golden).
var update = flag.Bool("update", false, "write the contract's table in the README anew")

const (
	readmePath    = "../README.md"
	contractBegin = "<!-- contract:begin -->\n"
	contractEnd   = "<!-- contract:end -->"
)

// readme is the text of the README.
func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(readmePath)
	if err != nil {
		t.Fatalf("there is no README to compare with: %v", err)
	}
	return string(text)
}

// TestREADMEContract: the table in the README is the one that the contract's
// declarations give.
func TestREADMEContract(t *testing.T) {
	text := readme(t)
	before, rest, begins := strings.Cut(text, contractBegin)
	table, after, ends := strings.Cut(rest, contractEnd)
	if !begins || !ends {
		t.Fatalf("README.md has no lines %s and %s for the contract's table", strings.TrimSpace(contractBegin), contractEnd)
	}
	want := contractTable()
	if table == want {
		return
	}
	if !*update {
		t.Fatalf("the contract's table in README.md is not the contract's (after review: make golden)\n got:\n%s\nwant:\n%s", table, want)
	}
	if err := os.WriteFile(readmePath, []byte(before+contractBegin+want+contractEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// contractTable writes the contract in Markdown: a row for each subject that
// is asked, then for each that is announced.
func contractTable() string {
	var b strings.Builder
	b.WriteString("| subject | | what | refusals |\n|---|---|---|---|\n")
	for _, info := range subjects.All() {
		kind := "read"
		if info.Write {
			kind = "write"
		}
		var codes []string
		for _, code := range info.Codes {
			codes = append(codes, fmt.Sprintf("`%s` (%d)", code, code.Status()))
		}
		fmt.Fprintf(&b, "| `%s`%s | %s | %s | %s |\n", info.Subject, appended(info.Form), kind, info.Doc, strings.Join(codes, ", "))
	}
	for _, e := range subjects.Events() {
		fmt.Fprintf(&b, "| `%s.`%s | event | %s | |\n", e.Subject, strings.NewReplacer("<", "*", ">", "*").Replace(e.Tail), e.Doc)
	}
	return b.String()
}

// appended is what may stand behind a subject.
func appended(form subjects.Form) string {
	switch form {
	case subjects.Keyed:
		return "[`.`*key*]"
	case subjects.Named:
		return "[`.`*name*]"
	case subjects.Scoped:
		return "[`.`*prefix*]"
	}
	return ""
}

// block is a fenced piece of the README.
type block struct {
	language string
	lines    []string
}

// blocks are all fenced pieces of the README.
func blocks(t *testing.T) (all []block) {
	t.Helper()
	open := false
	for line := range strings.Lines(readme(t)) {
		line = strings.TrimRight(line, "\n")
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && !open:
			all = append(all, block{language: language})
			open = true
		case fence:
			open = false
		case open:
			b := &all[len(all)-1]
			b.lines = append(b.lines, line)
		}
	}
	if open {
		t.Error("a fence in README.md is not closed")
	}
	return all
}
