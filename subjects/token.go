package subjects

import (
	"github.com/settkv/sett/codec"
)

const hexDigits = "0123456789ABCDEF"

// Tokens writes a key as subject tokens: "config/host" is "config.host". A "/"
// separates tokens; a byte outside A-Z a-z 0-9 - _ : = @ + ~ is %XX, and an
// empty token is a lone "%". The mapping is injective, and [Key] reverses it.
func Tokens(key string) string {
	var stack [subjectBuf]byte
	return string(AppendTokens(stack[:0], key))
}

// subjectBuf is what nearly every subject fits into, so that making one costs
// only the allocation of the string itself.
const subjectBuf = 256

// AppendTokens writes a key as [Tokens] does, after dst.
func AppendTokens(dst []byte, key string) []byte {
	empty := true // the token so far
	for i := range len(key) {
		c := key[i]
		switch {
		case codec.IsTokenByte(c):
			dst = append(dst, c)
		case c != '/':
			dst = append(dst, '%', hexDigits[c>>4], hexDigits[c&15])
		default:
			if empty {
				dst = append(dst, '%')
			}
			dst = append(dst, '.')
		}
		empty = c == '/'
	}
	if empty {
		dst = append(dst, '%')
	}
	return dst
}

// Key reads a key back from its subject tokens. Only the form that [Tokens]
// writes is accepted, so that one key has one subject and a permission on it
// cannot be walked around. It does not check the rules for keys: those are the
// request's own ([codec.ValidateKey]).
func Key(tokens string) (string, error) {
	var stack [subjectBuf]byte
	key := stack[:0]
	empty := true // the token so far
	for i := 0; i < len(tokens); i++ {
		switch c := tokens[i]; {
		case codec.IsTokenByte(c):
			key = append(key, c)
			empty = false
		case c == '.' && !empty:
			key = append(key, '/')
			empty = true
		case c == '%' && empty && (i+1 == len(tokens) || tokens[i+1] == '.'):
			empty = false // written out: the token may end here, and must
		case c == '%' && i+2 < len(tokens):
			b, ok := unhex(tokens[i+1], tokens[i+2])
			if !ok || b == '/' || codec.IsTokenByte(b) {
				return "", notCanonical(tokens)
			}
			key = append(key, b)
			empty = false
			i += 2
		default:
			return "", notCanonical(tokens)
		}
	}
	if empty {
		return "", notCanonical(tokens)
	}
	return string(key), nil
}

func notCanonical(tokens string) error {
	return codec.Invalidf("subject", "%q is not the canonical form of a key; `sett subject KEY` prints it", tokens)
}

// unhex reads two upper-case hex digits.
func unhex(high, low byte) (b byte, ok bool) {
	h, okHigh := nibble(high)
	l, okLow := nibble(low)
	return h<<4 | l, okHigh && okLow
}

func nibble(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
