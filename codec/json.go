package codec

import (
	"encoding/base64"
	"unicode/utf8"
)

// What a byte of a JSON string needs beyond being copied.
const (
	plain     = 0   // nothing
	multibyte = 1   // a look at its UTF-8
	asHex     = 'u' // \u00XX; any other letter is the one behind the backslash
)

var jsonEscape = func() (t [256]byte) {
	for c := range t {
		switch {
		case c >= utf8.RuneSelf:
			t[c] = multibyte
		case c < ' ':
			t[c] = asHex
		}
	}
	for i, c := range []byte("\"\\\b\f\n\r\t") {
		t[c] = "\"\\bfnrt"[i]
	}
	return t
}()

// appendJSONText writes s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, as in encoding/json; whoever must not lose them asks fitsJSONText.
func appendJSONText[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0 // of what is not yet written
	for i := plainLen(s); i < len(s); {
		escape := jsonEscape[s[i]]
		if escape == plain {
			i++
			continue
		}
		size := 1
		if escape == multibyte {
			var r rune
			r, size = utf8.DecodeRuneInString(string(s[i:min(i+utf8.UTFMax, len(s))]))
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		switch escape {
		case multibyte:
			dst = append(dst, "\uFFFD"...)
		case asHex:
			const digits = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', digits[s[i]>>4], digits[s[i]&15])
		default:
			dst = append(dst, '\\', escape)
		}
		i += size
		start = i
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// fitsJSONText says that bytes are to be written as a text in JSON: they are
// UTF-8, and with all escapes not longer than in base64.
func fitsJSONText(b []byte) bool {
	size := plainLen(b)
	if size == len(b) {
		return true
	}
	if !utf8.Valid(b) { // what is no text mostly shows it within a few bytes
		return false
	}
	for _, c := range b[size:] {
		switch jsonEscape[c] {
		case plain, multibyte:
			size++
		case asHex:
			size += len(`\u0000`)
		default:
			size += 2
		}
	}
	return size <= base64.StdEncoding.EncodedLen(len(b))
}

// plainLen counts bytes at the front of s that a JSON string takes as they
// are, perhaps not all of them. It looks at eight at a time, since most text
// has nothing else.
func plainLen[T string | []byte](s T) int {
	const each = 0x0101010101010101
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		// A high bit comes up in a byte that is below ' ', or one of the two, or no ASCII.
		if ((w-each*' ')|((w^each*'"')-each)|((w^each*'\\')-each))&(each*0x80) != 0 {
			return i
		}
	}
	for i < len(s) && jsonEscape[s[i]] == plain {
		i++
	}
	return i
}
