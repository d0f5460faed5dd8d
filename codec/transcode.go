package codec

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// JSON is read by rewriting it as msgpack, so that every rule about fields
// stands once, in the decoder, and every rule about text and size in the
// guard, which looks at the rewritten message. This file knows the grammar of
// JSON (RFC 8259, no lone surrogates) and nothing of messages.

// scratch has buffers for rewritten messages.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// release gives a buffer back, unless a rare large message made it grow.
func release(buf *[]byte) {
	if cap(*buf) <= 64<<10 {
		scratch.Put(buf)
	}
}

// transcode writes a JSON text after dst as msgpack, which takes at most three
// times as many bytes.
func transcode(dst, text []byte) ([]byte, *Error) {
	s := scanner{in: text, out: dst}
	err := s.value(0)
	if err == nil && s.more() {
		err = s.unexpected()
	}
	return s.out, err
}

// scanner rewrites in one pass. Its errors name the field that they are in.
type scanner struct {
	in  []byte
	at  int
	out []byte
}

// more skips white space and says whether anything follows it.
func (s *scanner) more() bool {
	for ; s.at < len(s.in); s.at++ {
		switch s.in[s.at] {
		case ' ', '\t', '\n', '\r':
		default:
			return true
		}
	}
	return false
}

// sees says whether c comes next, behind white space.
func (s *scanner) sees(c byte) bool { return s.more() && s.in[s.at] == c }

// takes passes over c, if that comes next.
func (s *scanner) takes(c byte) bool {
	if !s.sees(c) {
		return false
	}
	s.at++
	return true
}

func (s *scanner) unexpected() *Error {
	if s.at >= len(s.in) {
		return Invalidf("", "the JSON ends in the middle")
	}
	return Invalidf("", "unexpected %q at byte %d of the JSON", s.in[s.at:s.at+1], s.at)
}

// value rewrites what comes next, inside of depth maps and lists.
func (s *scanner) value(depth int) *Error {
	if !s.more() {
		return s.unexpected()
	}
	switch c := s.in[s.at]; c {
	case '{':
		return s.elements(depth, msgpcode.Map32, '}')
	case '[':
		return s.elements(depth, msgpcode.Array32, ']')
	case '"':
		return s.text()
	case 't':
		return s.word("true", msgpcode.True)
	case 'f':
		return s.word("false", msgpcode.False)
	case 'n':
		return s.word("null", msgpcode.Nil)
	}
	return s.number()
}

func (s *scanner) word(word string, code byte) *Error {
	if string(s.in[s.at:min(s.at+len(word), len(s.in))]) != word {
		return s.unexpected()
	}
	s.at += len(word)
	s.out = append(s.out, code)
	return nil
}

// elements rewrites a map or a list. Its length is known only at its end, so
// room is left for it.
func (s *scanner) elements(depth int, code, closing byte) *Error {
	if depth == maxDepth {
		return Invalidf("", "is nested deeper than %d levels", maxDepth)
	}
	s.at++
	start := s.begin(code)
	n := 0
	if s.takes(closing) {
		return nil
	}
	for {
		key := len(s.out)
		if closing == '}' {
			if err := s.key(); err != nil {
				return err
			}
		}
		if err := s.value(depth + 1); err != nil {
			if closing == '}' {
				return under(err, fieldName(readItem(s.out, key).bytes(s.out)))
			}
			return err.Within("", n)
		}
		n++
		if !s.takes(',') {
			break
		}
	}
	s.finish(start, n)
	if !s.takes(closing) {
		return s.unexpected()
	}
	return nil
}

// begin writes a head whose length finish fills in.
func (s *scanner) begin(code byte) (start int) {
	s.out = append(s.out, code, 0, 0, 0, 0)
	return len(s.out)
}

func (s *scanner) finish(start, n int) {
	binary.BigEndian.PutUint32(s.out[start-4:], uint32(n))
}

// key rewrites a key and passes over the colon.
func (s *scanner) key() *Error {
	if !s.sees('"') {
		return s.unexpected()
	}
	if err := s.text(); err != nil {
		return err
	}
	if !s.takes(':') {
		return s.unexpected()
	}
	return nil
}

func (s *scanner) text() *Error {
	s.at++ // the quote
	start := s.begin(msgpcode.Str32)
	for {
		run := s.at
		for s.at < len(s.in) && jsonEscape[s.in[s.at]] <= multibyte {
			s.at++
		}
		s.out = append(s.out, s.in[run:s.at]...)
		switch {
		case s.at == len(s.in):
			return s.unexpected()
		case s.in[s.at] == '"':
			s.at++
			s.finish(start, len(s.out)-start)
			return nil
		case s.in[s.at] != '\\':
			return s.unexpected() // a control character
		}
		s.at++
		if err := s.escape(); err != nil {
			return err
		}
	}
}

// escape rewrites what follows a backslash.
func (s *scanner) escape() *Error {
	if s.at == len(s.in) {
		return s.unexpected()
	}
	c := s.in[s.at]
	if c == 'u' {
		return s.unicode()
	}
	i := strings.IndexByte(`"\/bfnrt`, c)
	if i < 0 {
		return s.unexpected()
	}
	s.at++
	s.out = append(s.out, "\"\\/\b\f\n\r\t"[i])
	return nil
}

// unicode rewrites the uXXXX of an escape, or the two of a surrogate pair.
func (s *scanner) unicode() *Error {
	r, ok := s.hex()
	if !ok {
		return s.unexpected()
	}
	if utf16.IsSurrogate(r) {
		var low rune
		if s.at < len(s.in) && s.in[s.at] == '\\' {
			s.at++
			low, _ = s.hex()
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return Invalidf("", "half a surrogate pair before byte %d of the JSON", s.at)
		}
	}
	s.out = utf8.AppendRune(s.out, r)
	return nil
}

// hex passes over uXXXX.
func (s *scanner) hex() (rune, bool) {
	if len(s.in)-s.at < 5 || s.in[s.at] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(s.in[s.at+1:s.at+5]), 16, 16)
	if err != nil {
		return 0, false
	}
	s.at += 5
	return rune(n), true
}

// number rewrites a number: an integer with all of its 64 bits, and as a float
// what is written as one or does not fit. The decoder judges it.
func (s *scanner) number() *Error {
	start := s.at
	if s.in[s.at] == '-' {
		s.at++
	}
	whole := s.at
	if s.digits() == 0 || s.in[whole] == '0' && s.at > whole+1 {
		s.at = min(s.at, whole+1)
		return s.unexpected()
	}
	integer := true
	if s.at < len(s.in) && s.in[s.at] == '.' {
		s.at++
		if integer = false; s.digits() == 0 {
			return s.unexpected()
		}
	}
	if s.at < len(s.in) && s.in[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.in) && (s.in[s.at] == '+' || s.in[s.at] == '-') {
			s.at++
		}
		if integer = false; s.digits() == 0 {
			return s.unexpected()
		}
	}
	s.putNumber(string(s.in[start:s.at]), integer)
	return nil
}

// digits passes over digits and counts them.
func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.in) && s.in[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at - start
}

func (s *scanner) putNumber(text string, integer bool) {
	if integer {
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			if n <= math.MaxInt8 {
				s.out = append(s.out, byte(n))
				return
			}
			s.out = binary.BigEndian.AppendUint64(append(s.out, msgpcode.Uint64), n)
			return
		}
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			s.out = binary.BigEndian.AppendUint64(append(s.out, msgpcode.Int64), uint64(n))
			return
		}
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range: infinite
	s.out = binary.BigEndian.AppendUint64(append(s.out, msgpcode.Double), math.Float64bits(f))
}
