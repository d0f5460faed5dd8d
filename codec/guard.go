package codec

import (
	"strconv"
	"unicode/utf8"
)

// What the guard lets through, beside what the payload's size bounds.
const (
	maxDepth = 8       // maps and lists within each other, the message itself included
	maxItems = 1 << 18 // of msgpack in a message, keys included
)

// Guard checks, before anything is decoded, that a payload is one well-formed
// msgpack map and harmless: at most 8 levels deep, with no more than 2^18
// items, no length beyond the bytes that are left, only strings for map keys,
// only UTF-8 in strings, no extension type but msgpackr's undefined, and
// nothing behind the map.
//
// It is one pass of linear time and allocates only for the error that it
// returns, an [Error] of code [Invalid] that names the field. It is safe for
// concurrent use. [Decode] and [DecodeRequest] call it; ten hostile bytes can
// kill a process that decodes without it.
func Guard(payload []byte) error {
	var g guard
	return refusal(g.scan(payload))
}

// guard is the walk of [Guard]: a stack of the open maps and lists.
type guard struct {
	open  [maxDepth]level
	depth int
}

// level is an open map or list.
type level struct {
	isMap bool
	count int // its declared items, in a map both keys and values
	left  int // of them, not yet begun
	key   item
}

// wantsKey says that the next item of a map must be a key.
func (l *level) wantsKey() bool { return l.isMap && l.left%2 == 0 }

func (g *guard) scan(b []byte) *Error {
	at := 0
	for range maxItems {
		it := readItem(b, at)
		at = it.end()
		key := false
		if g.depth > 0 {
			top := &g.open[g.depth-1]
			if key = top.wantsKey(); key {
				top.key = it
			}
			top.left--
		}
		if why := g.refuse(b, it, key); why != "" {
			return g.locate(b, why)
		}
		if it.form == mapForm || it.form == listForm {
			g.push(it)
		}
		for g.depth > 0 && g.open[g.depth-1].left == 0 {
			g.depth--
		}
		if g.depth > 0 {
			continue
		}
		if at != len(b) {
			return Invalidf("", "%d bytes follow the message", len(b)-at)
		}
		return nil
	}
	return Invalidf("", "the message has more than %d items", maxItems)
}

func (g *guard) push(it item) {
	l := level{isMap: it.form == mapForm, count: int(it.n)}
	if l.isMap {
		l.count *= 2
	}
	l.left = l.count
	g.open[g.depth] = l
	g.depth++
}

// refuse says why an item may not stand where it does, or "".
func (g *guard) refuse(b []byte, it item, key bool) string {
	switch {
	case it.form == badForm:
		return "is cut short or not msgpack"
	case it.form == extForm:
		return "is of an extension type"
	case key && it.form != strForm:
		return "has a map key that is not a string"
	case g.depth == 0 && it.form != mapForm:
		return "is not a map"
	case it.form == strForm && !utf8.Valid(it.bytes(b)):
		return "is not UTF-8"
	case (it.form == mapForm || it.form == listForm) && g.depth == maxDepth:
		return "is nested deeper than " + strconv.Itoa(maxDepth) + " levels"
	}
	return ""
}

// locate makes the error of a refusal in the field where the walk stands.
func (g *guard) locate(b []byte, why string) *Error {
	e := Invalidf("", "%s", why)
	for n := g.depth - 1; n >= 0; n-- {
		l := &g.open[n]
		switch {
		case !l.isMap:
			e = e.Within("", l.count-l.left-1)
		case l.left%2 == 0: // it stands at a value, whose key is known
			e = under(e, fieldName(l.key.bytes(b)))
		}
	}
	if e.Field == "" {
		e.Message = "the message " + e.Message
	}
	return e
}

// under says that an error was found in the field name of a map: the field
// becomes "previous.key", or "ops[2].key" behind [Error.Within] a list that had
// no name yet.
func under(e *Error, name string) *Error {
	switch {
	case e.Field == "":
		e.Field, e.Message = name, name+": "+e.Message
	case e.Field[0] == '[':
		e.Field, e.Message = name+e.Field, name+e.Message
	default:
		e.Field, e.Message = name+"."+e.Field, name+": "+e.Message
	}
	return e
}

// fieldName makes a name that came with a message fit for an error: short, and
// without characters that a header or a terminal could trip over.
func fieldName(key []byte) string {
	const most = 64
	if len(key) == 0 {
		return `""`
	}
	cut := ""
	if len(key) > most {
		key, cut = key[:most], "..."
	}
	for _, c := range key {
		if c <= ' ' || c > '~' || c == '[' {
			return strconv.QuoteToASCII(string(key)) + cut
		}
	}
	return string(key) + cut
}
