package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/settkv/sett/codec"
)

// longestLine holds the largest value with every byte of it escaped.
const longestLine = 4 << 20

// exportReader reads the lines of an export, or of a file that was written by
// hand, and holds the counts of its last line against what it read. Several
// exports may follow each other.
type exportReader struct {
	name string // of the file, for errors
	in   *bufio.Scanner
	line int64 // that was read last
	size int64 // bytes read

	ended           bool
	open            bool // a header was read, and not yet its end
	keys, instances int64
}

func newExportReader(name string, in io.Reader) *exportReader {
	r := &exportReader{name: name, in: bufio.NewScanner(in)}
	r.in.Buffer(nil, longestLine)
	return r
}

// lineError is what is wrong with a line.
type lineError struct {
	name string
	line int64
	text string
}

func (e *lineError) Error() string { return fmt.Sprintf("%s:%d: %s", e.name, e.line, e.text) }

// bad is an error in the line that was read last.
func (r *exportReader) bad(err error) error {
	text := err.Error()
	if refusal, ok := errors.AsType[*codec.Error](err); ok {
		text = refusal.Message
	}
	return &lineError{r.name, r.line, text}
}

// next returns the next record, or io.EOF. After a *lineError reading may go
// on.
func (r *exportReader) next() (*exportLine, error) {
	if r.ended {
		return nil, io.EOF
	}
	for r.in.Scan() {
		r.line++
		r.size += int64(len(r.in.Bytes())) + 1
		text := bytes.TrimSpace(r.in.Bytes())
		if r.line == 1 {
			text = bytes.TrimPrefix(text, []byte("\uFEFF")) // as some editors begin a file
		}
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		line, err := readExportLine(text)
		if err == nil {
			err = r.count(line)
		}
		switch {
		case err != nil:
			return nil, r.bad(err)
		case line.op != nil:
			return line, nil
		}
	}
	return nil, r.finish()
}

// count keeps the books between a header and its end.
func (r *exportReader) count(line *exportLine) error {
	switch {
	case line.header != nil && r.open:
		return errors.New("begins another export, but the one before has no last line: it was cut off")
	case line.header != nil:
		r.open, r.keys, r.instances = true, 0, 0
	case line.end != nil && !r.open:
		return errors.New("ends an export that has no first line")
	case line.end != nil:
		r.open = false
		if line.end.Keys != r.keys || line.end.Instances != r.instances {
			return fmt.Errorf("counts %s, but there are %s: lines are missing or were added"+
				" (without its first and last line the file is imported as it is)",
				counted(line.end.Keys, line.end.Instances), counted(r.keys, r.instances))
		}
	default:
		if _, ok := line.op.(*codec.Set); ok {
			r.keys++
		} else {
			r.instances++
		}
	}
	return nil
}

// finish says how the input ended.
func (r *exportReader) finish() error {
	r.ended = true
	err := r.in.Err()
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		r.line++
		return r.bad(fmt.Errorf("is longer than %d bytes", longestLine))
	case err != nil:
		return fmt.Errorf("%s: %w", r.name, err)
	case r.open:
		return r.bad(errors.New("ends the file, but is no last line of an export: the file is cut off"))
	}
	return io.EOF
}

// counted says how many records there are.
func counted(keys, instances int64) string {
	switch {
	case instances == 0:
		return one("key", keys)
	case keys == 0:
		return one("instance", instances)
	}
	return one("key", keys) + " and " + one("instance", instances)
}
