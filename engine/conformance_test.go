package engine

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

var update = flag.Bool("update", false, "write what the scripts in testdata give into them")

// TestScripts runs the scripts in testdata on each engine. A script is what a
// client sends and, below each line, what it gets:
//
//	=== A section begins with an empty store
//	kv.set {"key":"a","value":"1"}
//	= the reply, ! the refusal, > each event
//	advance 10ms           moves the clock
//	reopen, crash          with and without a clean close; badger only
//	sweep                  what is due expires
//	announced 3            the relay has announced up to there
//	id=x kv.set {...}      with a message id
//	on=kv.set.a kv.set ... on another subject
//	fill a/ 10             sets a/000 ... a/009
//	status                 the counts
//
// go test -run Scripts -update writes the answers; review them.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.td")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".td"), func(t *testing.T) {
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, kind := range []string{Badger, Memory} {
				t.Run(kind, func(t *testing.T) {
					after := runScript(t, kind, string(before))
					if *update && kind == Badger {
						if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
							t.Fatal(err)
						}
						before = []byte(after)
					}
				})
			}
		})
	}
}

// runScript runs every section of a script and returns the script with the
// answers that it got.
func runScript(t *testing.T, kind, script string) string {
	var out strings.Builder
	head, rest, _ := strings.Cut(script, "=== ")
	out.WriteString(head)
	for i, section := range strings.Split(rest, "\n=== ") {
		if i > 0 {
			out.WriteString("\n")
		}
		name, _, _ := strings.Cut(section, "\n")
		t.Run(name, func(t *testing.T) {
			if kind == Memory && (strings.Contains(section, "\nreopen") || strings.Contains(section, "\ncrash")) {
				return // nothing outlives a memory engine
			}
			got := section // what it stays if the section fails
			defer func() { out.WriteString("=== " + got) }()
			got = runSection(t, kind, section)
			if !*update {
				compareLines(t, section, got)
			}
		})
	}
	if !strings.HasSuffix(out.String(), "\n") {
		out.WriteString("\n")
	}
	return out.String()
}

func runSection(t *testing.T, kind, section string) string {
	h := open(t, kind)
	var out []string
	for _, line := range strings.Split(strings.TrimRight(section, "\n"), "\n") {
		if strings.HasPrefix(line, "= ") || strings.HasPrefix(line, "! ") || strings.HasPrefix(line, "> ") {
			continue
		}
		out = append(out, line)
		if line == "" || line[0] == '#' || len(out) == 1 {
			continue
		}
		out = append(out, h.line(line)...)
		for _, c := range h.changes() {
			out = append(out, "> "+text(&c))
		}
	}
	return strings.Join(out, "\n") + "\n"
}

func compareLines(t *testing.T, want, got string) {
	t.Helper()
	w, g := strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(got), "\n")
	command := ""
	for i := range max(len(w), len(g)) {
		a, b := "", ""
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			t.Fatalf("after %s\n got %s\nwant %s", command, b, a)
		}
		if a != "" && !strings.Contains("=!>#", a[:1]) {
			command = a
		}
	}
}

// line runs one line of a script and returns the answer's.
func (h *harness) line(line string) []string {
	h.t.Helper()
	id, subject := "", ""
	for {
		word, rest, _ := strings.Cut(line, " ")
		if v, ok := strings.CutPrefix(word, "id="); ok {
			id, line = v, rest
		} else if v, ok := strings.CutPrefix(word, "on="); ok {
			subject, line = v, rest
		} else {
			break
		}
	}
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "advance":
		d, err := time.ParseDuration(rest)
		if err != nil {
			h.t.Fatal(err)
		}
		h.time.advance(d)
		return nil
	case "reopen":
		h.reopen()
		return nil
	case "crash":
		h.crash()
		return nil
	case "sweep":
		for h.sweep() <= 0 {
		}
		return nil
	case "announced":
		n, err := strconv.ParseUint(rest, 10, 64)
		if err != nil {
			h.t.Fatal(err)
		}
		h.Announced(n)
		return nil
	case "fill":
		return h.fill(rest)
	case "status":
		s := h.Status()
		return []string{fmt.Sprintf("= keys=%d instances=%d revision=%d epoch=%d announced=%d outbox=%d",
			s.Keys, s.Instances, s.StoreRevision, s.Epoch, s.Feed.AckedRevision, s.Feed.OutboxRevisions)}
	}
	if read, ok := h.reads()[word]; ok {
		return answerLines(read([]byte(rest)))
	}
	cmd := codec.NewCommand(word)
	if cmd == nil {
		h.t.Fatalf("unknown line %q", line)
	}
	if err := decodeLine([]byte(rest), cmd); err != nil {
		return answerLines(nil, err)
	}
	if subject == "" {
		subject = word
	}
	reply, err := h.submit(id, subject, cmd, []byte(rest))
	return answerLines(reply, err)
}

func (h *harness) fill(args string) []string {
	prefix, count, _ := strings.Cut(args, " ")
	n, err := strconv.Atoi(count)
	if err != nil {
		h.t.Fatal(err)
	}
	for i := range n {
		h.seen = h.set(fmt.Sprintf("%s%03d", prefix, i), fmt.Sprint(i))
	}
	return nil
}

type message interface{ Validate() error }

func decodeLine(payload []byte, m message) error {
	if _, err := codec.DecodeRequest(payload, m); err != nil {
		return err
	}
	return m.Validate()
}

// reads are the reads of the contract by subject.
func (h *harness) reads() map[string]func([]byte) (any, error) {
	return map[string]func([]byte) (any, error){
		"kv.get":    readLine(h.ReadKey),
		"kv.list":   readLine(func(r *codec.List) (*codec.ListReply, error) { return h.ListKeys(r, codec.Fit{}) }),
		"batch.get": readLine(func(r *codec.BatchGet) (*codec.BatchGetReply, error) { return h.ReadKeys(r, codec.Fit{}) }),
		"svc.get": readLine(func(r *codec.GetService) (*codec.GetServiceReply, error) {
			return h.ReadService(r, codec.Fit{})
		}),
		"svc.list": readLine(func(r *codec.ListServices) (*codec.ListServicesReply, error) {
			return h.ReadServices(r, codec.Fit{})
		}),
	}
}

func readLine[R any, P interface {
	*R
	message
}, Reply any](read func(P) (*Reply, error)) func([]byte) (any, error) {
	return func(payload []byte) (any, error) {
		r := P(new(R))
		if err := decodeLine(payload, r); err != nil {
			return nil, err
		}
		reply, err := read(r)
		if err != nil {
			return nil, err
		}
		return reply, nil
	}
}

func answerLines(reply any, err error) []string {
	if err != nil {
		return []string{"! " + text(codec.AsError(err))}
	}
	return []string{"= " + text(reply)}
}
