package codec

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// IsTokenByte reports whether a byte stands for itself in a subject token.
// Every other byte is written as %XX there, so it counts three times.
func IsTokenByte(b byte) bool { return tokenBytes[b] }

var tokenBytes = func() (t [256]bool) {
	for _, b := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_:=@+~") {
		t[b] = true
	}
	return t
}()

// ValidateKey checks a key: 1 to [MaxKey] bytes of UTF-8 without control
// characters, whose subject tokens take at most [MaxSubject] bytes.
func ValidateKey(key string) error { return refusal(checkKey("key", key)) }

// ValidateName checks the name of a service: 1 to [MaxName] bytes of UTF-8
// without control characters and without "/".
func ValidateName(name string) error { return refusal(checkName("name", name)) }

// refusal keeps a nil *Error from becoming a non-nil error.
func refusal(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// first returns the first refusal: validation reads as a list of rules.
func first(checks ...*Error) error {
	for _, e := range checks {
		if e != nil {
			return e
		}
	}
	return nil
}

func checkKey(field, key string) *Error {
	if e := checkText(field, key, 1, MaxKey); e != nil {
		return e
	}
	return checkSubject(field, key)
}

func checkSubject(field, key string) *Error {
	size := 0
	for i := range len(key) {
		switch {
		case tokenBytes[key[i]]:
			size++
		case key[i] == '/':
			size += 2 // the dot, and perhaps the "%" of an empty token
		default:
			size += 3
		}
	}
	if size > MaxSubject {
		return overLimit(field, MaxSubject, "bytes as a subject")
	}
	return nil
}

// checkPrefix is the rule for what only narrows a walk: it may be empty.
func checkPrefix(field, prefix string) *Error { return checkText(field, prefix, 0, MaxKey) }

func checkName(field, name string) *Error {
	if e := checkText(field, name, 1, MaxName); e != nil {
		return e
	}
	if strings.Contains(name, "/") {
		return Invalidf(field, `must not contain "/"`)
	}
	return nil
}

func checkText(field, s string, least, most int) *Error {
	if len(s) < least {
		return Invalidf(field, "must not be empty")
	}
	if len(s) > most {
		return overLimit(field, int64(most), "bytes")
	}
	for i, r := range s {
		if r < ' ' || r >= 0x7f && unicode.IsControl(r) {
			return Invalidf(field, "has a control character at byte %d", i)
		}
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			return Invalidf(field, "is not UTF-8 at byte %d", i)
		}
	}
	return nil
}

func checkValue(field string, value []byte) *Error {
	if len(value) > MaxValue {
		return overLimit(field, MaxValue, "bytes")
	}
	return nil
}

func checkTTL(ms int64) *Error {
	switch {
	case ms == 0:
		return nil
	case ms < MinTTL.Milliseconds():
		return Invalidf("ttl_ms", "must be at least %d (%v)", MinTTL.Milliseconds(), MinTTL)
	case ms > MaxTTL.Milliseconds():
		return overLimit("ttl_ms", MaxTTL.Milliseconds(), "milliseconds")
	}
	return nil
}

// checkLimit checks a page's size; 0 is the default, [DefaultPage].
func checkLimit(limit, most int64) *Error {
	if limit < 0 {
		return Invalidf("limit", "must not be negative")
	}
	if limit > most {
		return overLimit("limit", most, "entries")
	}
	return nil
}

// Millis is a duration in the contract's unit. It rounds up, so that a
// deadline is never early, and away from 0, so that a negative duration is
// refused and never taken for none.
func Millis(d time.Duration) int64 {
	if d < 0 {
		return int64((d - time.Millisecond + 1) / time.Millisecond)
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// Fit says what a page or a reply must fit into.
type Fit struct {
	Encoding Encoding
	MaxBytes int // of the whole payload; 0: no limit
}
