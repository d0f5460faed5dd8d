package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/settkv/sett/codec"
)

// readAll reads an export, and returns its records and the first error.
func readAll(text string) (ops []codec.Command, err error) {
	in := newExportReader("f", strings.NewReader(text))
	for {
		line, err := in.next()
		if err == io.EOF {
			return ops, nil
		}
		if err != nil {
			return ops, err
		}
		ops = append(ops, line.op)
	}
}

// Lines are as strict as requests, and every error names its line.
func TestExportReader(t *testing.T) {
	const head, end = `{"sett_export":1,"store_revision":3,"epoch":9,"prefix":""}` + "\n", `{"sett_export_end":1,"keys":1,"instances":0}` + "\n"
	const a, b = `{"key":"a","value":"1"}` + "\n", `{"key":"b","value":"2"}` + "\n"
	long := strings.Repeat("x", codec.MaxValue)
	for _, c := range []struct {
		text string
		n    int    // records
		err  string // all of it, or "~" and a part
	}{
		{text: "", n: 0},
		{text: head + a + end, n: 1},
		{text: head + a + end + head + b + end, n: 2}, // one behind the other
		{text: "\uFEFF# by hand\r\n\r\n  " + a + "\t\n" + strings.TrimSpace(b), n: 2},
		{text: `{"key":"a","value":"` + long + `"}`, n: 1},
		{text: `{"key":"a","value":"` + strings.Repeat(`\u0001`, codec.MaxValue) + `"}`, n: 1},
		{text: `{"name":"w","address":"h","port":1,"revision":7}`, n: 1},

		{text: head + a, n: 1, err: "f:2: ends the file, but is no last line of an export: the file is cut off"},
		{text: head + a + `{"sett_export_e`, n: 1, err: "~f:3: "},
		{text: head + a + b + end, n: 2, err: "~f:4: counts 1 key, but there are 2 keys"},
		{text: head + end, err: "~f:2: counts 1 key, but there are 0 keys"},
		{text: head + a + head, n: 1, err: "~f:3: begins another export"},
		{text: a + end, n: 1, err: "f:2: ends an export that has no first line"},
		{text: `{"sett_export":2,"new":1}`, err: "~f:1: was written by another version"},
		{text: `{"sett_export":1,"new":1}`, err: "~f:1: new: "},
		{text: a + `{"key":"","value":""}`, n: 1, err: "f:2: key: must not be empty"},
		{text: `{"key":"a"}`, err: "f:1: value: is required"},
		{text: `{"key":"a","value":null}`, err: "f:1: value: is required"},
		{text: `{"key":"a","value":"1","value_base64":"AA=="}`, err: "f:1: value_base64: is given twice"},
		{text: `{"key":"a","value":"1","value":"1"}`, err: "f:1: value: is given twice"},
		{text: `{"key":"a","value":"1","if_revision":1}`, err: "f:1: if_revision: is not a field of this message"},
		{text: `{"key":"a","value":"1","name":"w"}`, err: "f:1: name: is not a field of this message"},
		{text: `{"key":"a","value":"1","base64":false}`, err: "~f:1: base64: "},
		{text: `{"key":"a","value":1}`, err: "f:1: value: must be bytes or a string, not an integer"},
		{text: `{"key":"a","value":"1","ttl_ms":5}`, err: "~f:1: ttl_ms: must be at least"},
		{text: `{"key":"a","value":"1","expires_at_ms":-5}`, err: "f:1: expires_at_ms: must not be negative"},
		{text: `{"key":"a","value":"` + long + `x"}`, err: "~f:1: value: over the limit"},
		{text: "\n\n" + `{"name":"w"}`, err: "~f:3: id: is required"},
		{text: `{"kex":"a"}`, err: "f:1: has neither a key nor the name of a service"},
		{text: a + "\x81\xa3key\xa1a", n: 1, err: "~f:2: is no JSON object"}, // msgpack
		{text: a + strings.Repeat("x", longestLine+1), n: 1, err: "~f:2: is longer than"},
		{text: `{"key":"a","value":"1"} {"key":"b","value":"1"}`, err: "~f:1: "},
	} {
		ops, err := readAll(c.text)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if len(ops) != c.n || !fits(got, c.err) {
			t.Errorf("%.80q: %d records, %q; want %d, %q", c.text, len(ops), got, c.n, c.err)
		}
	}
}

// The rest of the time, all of it, or none.
func TestExportDue(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	for _, c := range []struct {
		line  string
		fresh bool
		ttl   int64
		alive bool
		err   string
	}{
		{line: `{"key":"a","value":""}`, alive: true},
		{line: `{"key":"a","value":"","ttl_ms":5000}`, ttl: 5000, alive: true},
		{line: `{"key":"a","value":"","ttl_ms":5000,"expires_at_ms":1002000}`, ttl: 2000, alive: true},
		{line: `{"key":"a","value":"","ttl_ms":5000,"expires_at_ms":1002000}`, fresh: true, ttl: 5000, alive: true},
		{line: `{"key":"a","value":"","ttl_ms":5000,"expires_at_ms":1000010}`, ttl: 10, alive: true},
		{line: `{"key":"a","value":"","ttl_ms":5000,"expires_at_ms":1000009}`, ttl: 5000},
		{line: `{"key":"a","value":"","ttl_ms":5000,"expires_at_ms":7}`, fresh: true, ttl: 5000, alive: true},
		{line: `{"key":"a","value":"","expires_at_ms":7}`, fresh: true},
		{line: `{"key":"a","value":"","expires_at_ms":1002000}`, ttl: 2000, alive: true},
		{line: `{"key":"a","value":"","expires_at_ms":9007199254740991}`, err: "expires_at_ms: is more than 3650 days away"},
		{line: `{"name":"w","id":"1","ttl_ms":5000,"expires_at_ms":1002000}`, ttl: 5000, alive: true},
		{line: `{"name":"w","id":"1","ttl_ms":5000,"expires_at_ms":7}`, ttl: 5000},
		{line: `{"name":"w","id":"1","expires_at_ms":1002000}`, ttl: 2000, alive: true},
	} {
		line, err := readExportLine([]byte(c.line))
		if err != nil {
			t.Fatalf("%s: %v", c.line, err)
		}
		alive, err := line.due(now, c.fresh)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if ttl, _ := line.ttl(); *ttl != c.ttl || alive != c.alive || text != c.err {
			t.Errorf("%s: ttl %d, alive %v, %q; want %d, %v, %q", c.line, *ttl, alive, text, c.ttl, c.alive, c.err)
		}
	}
}

// What a line says comes back when it is written again.
func FuzzExportLine(f *testing.F) {
	for _, seed := range []string{
		`{"key":"a/b","value":"1","ttl_ms":5000,"expires_at_ms":1002000,"revision":7,"created_revision":3}`,
		`{"key":"\u00e9\"","value_base64":"AP8="}`, `{"name":"w","id":"1","tags":["b","a"],"meta":{"z":"1"},"status":"critical","note":"n"}`,
		`{"sett_export":1,"store_id":"x","store_revision":1,"epoch":2,"prefix":"p"}`, `{"sett_export_end":1,"keys":1,"instances":2}`,
		`{"sett_export":1e0}`, `{"key":null,"name":"w"}`, `{}`, `[`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == 0 {
			return
		}
		line, err := readExportLine(text)
		if err != nil {
			return
		}
		written := rewrite(line)
		again, err := readExportLine(written)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, written, err)
		}
		if second := rewrite(again); !bytes.Equal(written, second) || line.expiresAtMs != again.expiresAtMs {
			t.Errorf("%q became %q and then %q", text, written, second)
		}
	})
}

// rewrite writes a line as an export would.
func rewrite(line *exportLine) []byte {
	switch {
	case line.header != nil:
		return codec.Append(nil, codec.JSON, line.header)
	case line.end != nil:
		return codec.Append(nil, codec.JSON, line.end)
	}
	switch op := line.op.(type) {
	case *codec.Set:
		return codec.Append(nil, codec.JSON, &keyLine{Key: op.Key, Value: op.Value, TTLMs: op.TTLMs, ExpiresAtMs: line.expiresAtMs})
	case *codec.Register:
		return codec.Append(nil, codec.JSON, &instanceLine{
			Name: op.Name, ID: op.ID, Address: op.Address, Port: op.Port, Tags: op.Tags, Meta: op.Meta,
			Status: op.Status, Note: op.Note, TTLMs: op.TTLMs, ExpiresAtMs: line.expiresAtMs,
		})
	}
	return nil
}

// A file is replaced when it is whole, and not before.
func TestReplaceFile(t *testing.T) {
	name := t.TempDir() + "/x"
	write := func(text string, err error) error {
		return replaceFile(name, func(to io.Writer) error {
			fmt.Fprint(to, text)
			return err
		})
	}
	broken := errors.New("broken")
	if err := write("half", broken); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	checkFolder(t, name, "")
	if err := write("one", nil); err != nil {
		t.Error(err)
	}
	if err := write("half", broken); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	checkFolder(t, name, "one")
	if err := write("two", nil); err != nil {
		t.Error(err)
	}
	checkFolder(t, name, "two")
	if err := replaceFile(t.TempDir(), nil); err == nil {
		t.Error("a folder was replaced")
	}
}

func TestProgress(t *testing.T) {
	var shown bytes.Buffer
	p := drawProgress(&shown, "importing", 10, false, 0)
	p.add(4)
	if !strings.Contains(shown.String(), "importing") || !strings.Contains(shown.String(), "40%") {
		t.Errorf("it shows %q", &shown)
	}
	p.add(40) // more than was thought
	p.clear()
	shown.Reset()
	p = drawProgress(&shown, "importing", 0, true, time.Hour)
	p.add(4)
	p.clear()
	if shown.Len() > 0 {
		t.Errorf("work that is short shows %q", &shown)
	}
	(&progress{}).add(1) // where there is no terminal
}
