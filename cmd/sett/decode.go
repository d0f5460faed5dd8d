package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

func (a *app) decodeCommand() *cobra.Command {
	var inHex, inBase64 bool
	cmd := &cobra.Command{
		Use:   "decode [FILE...]",
		Short: "Print msgpack payloads as JSON",
		Long: `Print payloads as JSON, a line each, from the standard input or files. msgpack
and JSON may follow each other, with or without newlines between. With --hex or
--base64 the arguments are the payloads themselves; without any, each word of
the standard input is one.`,
		Example: `  nats sub --raw 'kv.changed.>' | sett decode
  sett decode reply.bin
  sett decode --hex 81a36b6579a161`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var text func([]byte) ([]byte, error)
			switch {
			case inHex:
				text = func(b []byte) ([]byte, error) { return payload(hex.AppendDecode, b, "hex") }
			case inBase64:
				text = func(b []byte) ([]byte, error) { return payload(base64.StdEncoding.AppendDecode, b, "base64") }
			default:
				return a.decodeFiles(args)
			}
			if len(args) > 0 {
				return a.decodeText(strings.NewReader(strings.Join(args, " ")), text)
			}
			return a.decodeText(a.stdin, text)
		},
	}
	cmd.Flags().BoolVar(&inHex, "hex", false, "payloads are written in hex")
	cmd.Flags().BoolVar(&inBase64, "base64", false, "payloads are written in base64")
	exclude(cmd, "hex", "base64")
	return cmd
}

// payload reads a word; an error shows its beginning.
func payload(read func(dst, src []byte) ([]byte, error), word []byte, as string) ([]byte, error) {
	b, err := read(nil, word)
	if err != nil {
		err = fmt.Errorf("%q is not %s", cut(string(word), 40), as)
	}
	return b, err
}

func (a *app) decodeFiles(names []string) error {
	if len(names) == 0 {
		names = []string{"-"}
	}
	for _, name := range names {
		in := a.stdin
		if name != "-" {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		if err := a.decode(in); err != nil {
			return fmt.Errorf("decode: %w", err)
		}
	}
	return nil
}

// decodeText decodes the words of a text, each a payload.
func (a *app) decodeText(in io.Reader, decode func([]byte) ([]byte, error)) error {
	words := bufio.NewScanner(in)
	words.Buffer(nil, 16<<20)
	words.Split(bufio.ScanWords)
	for words.Scan() {
		payload, err := decode(words.Bytes())
		if err == nil {
			err = a.decode(bytes.NewReader(payload))
		}
		if err != nil {
			return fmt.Errorf("decode: %w", err)
		}
	}
	return words.Err()
}

// decode prints the payloads of a stream as they come.
func (a *app) decode(in io.Reader) error {
	r := bufio.NewReader(in)
	for {
		c, err := r.ReadByte()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case c == '\n' || c == '\r' || c == ' ': // no payload begins with one
			continue
		}
		if err := r.UnreadByte(); err != nil {
			return err
		}
		var line []byte
		if c == '{' {
			line, r, err = readJSON(r)
		} else {
			line, err = readMsgpack(r)
		}
		if err != nil {
			return err
		}
		if err := a.println(string(line)); err != nil {
			return err
		}
	}
}

// readJSON reads one message, and returns what is behind it.
func readJSON(r *bufio.Reader) ([]byte, *bufio.Reader, error) {
	dec := json.NewDecoder(r)
	var message json.RawMessage
	if err := dec.Decode(&message); err != nil {
		return nil, nil, err
	}
	var line bytes.Buffer
	err := json.Compact(&line, message)
	return line.Bytes(), bufio.NewReader(io.MultiReader(dec.Buffered(), r)), err
}

func readMsgpack(r *bufio.Reader) ([]byte, error) {
	c, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	if c&0xf0 != 0x80 && c != 0xde && c != 0xdf {
		return nil, fmt.Errorf("neither JSON nor msgpack begins with byte 0x%02x", c)
	}
	d := dump{in: r}
	err = d.value(c, 0)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return d.out, err
}

// dump writes msgpack as JSON while it reads it. It trusts no length: bytes
// are taken as they come, and nesting ends where no message of ours goes.
type dump struct {
	in  *bufio.Reader
	out []byte
}

const dumpDepth = 32

func (d *dump) next(depth int) error {
	c, err := d.in.ReadByte()
	if err != nil {
		return err
	}
	return d.value(c, depth)
}

// value writes the value that begins with byte c.
func (d *dump) value(c byte, depth int) error {
	if depth > dumpDepth {
		return errors.New("nested too deeply")
	}
	switch {
	case c <= 0x7f || c >= 0xe0:
		d.out = fmt.Appendf(d.out, "%d", int8(c))
		return nil
	case c <= 0x8f:
		return d.pairs(uint64(c&0x0f), depth)
	case c <= 0x9f:
		return d.list(uint64(c&0x0f), depth)
	case c <= 0xbf:
		return d.text(uint64(c & 0x1f))
	}
	switch c {
	case 0xc0:
		d.out = append(d.out, "null"...)
	case 0xc2, 0xc3:
		d.out = fmt.Appendf(d.out, "%t", c == 0xc3)
	case 0xc4, 0xc5, 0xc6:
		return d.sized(1<<(c-0xc4), func(n uint64) error { return d.base64(n) })
	case 0xca, 0xcb:
		return d.sized(4<<(c-0xca), func(n uint64) error { return d.float(c, n) })
	case 0xcc, 0xcd, 0xce, 0xcf:
		return d.sized(1<<(c-0xcc), func(n uint64) error {
			d.out = fmt.Appendf(d.out, "%d", n)
			return nil
		})
	case 0xd0, 0xd1, 0xd2, 0xd3:
		size := 1 << (c - 0xd0)
		return d.sized(size, func(n uint64) error {
			d.out = fmt.Appendf(d.out, "%d", int64(n<<(64-8*size))>>(64-8*size))
			return nil
		})
	case 0xd4:
		_, err := d.bytes(2) // msgpackr's undefined
		d.out = append(d.out, "null"...)
		return err
	case 0xd9, 0xda, 0xdb:
		return d.sized(1<<(c-0xd9), d.text)
	case 0xdc, 0xdd:
		return d.sized(2<<(c-0xdc), func(n uint64) error { return d.list(n, depth) })
	case 0xde, 0xdf:
		return d.sized(2<<(c-0xde), func(n uint64) error { return d.pairs(n, depth) })
	default:
		return fmt.Errorf("msgpack of byte 0x%02x is none of sett's", c)
	}
	return nil
}

// sized reads a big-endian number of some bytes and goes on with it.
func (d *dump) sized(size int, then func(uint64) error) error {
	b, err := d.bytes(uint64(size))
	if err != nil {
		return err
	}
	n := uint64(0)
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return then(n)
}

func (d *dump) bytes(n uint64) ([]byte, error) {
	var b bytes.Buffer
	if _, err := io.CopyN(&b, d.in, int64(n)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (d *dump) float(c byte, bits uint64) error {
	f := math.Float64frombits(bits)
	if c == 0xca {
		f = float64(math.Float32frombits(uint32(bits)))
	}
	text, err := json.Marshal(f)
	d.out = append(d.out, text...)
	return err
}

func (d *dump) text(n uint64) error {
	b, err := d.bytes(n)
	d.out = appendText(d.out, b)
	return err
}

func (d *dump) list(n uint64, depth int) error {
	d.out = append(d.out, '[')
	for i := range n {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		if err := d.next(depth + 1); err != nil {
			return err
		}
	}
	d.out = append(d.out, ']')
	return nil
}

// pairs writes a map.
func (d *dump) pairs(n uint64, depth int) error {
	d.out = append(d.out, '{')
	for i := range n {
		if i > 0 {
			d.out = append(d.out, ',')
		}
		if err := d.pair(depth); err != nil {
			return err
		}
	}
	d.out = append(d.out, '}')
	return nil
}

// pair writes a key and its value. Bytes that are no text are in base64 under
// another name, as in sett's own JSON.
func (d *dump) pair(depth int) error {
	key := len(d.out)
	if err := d.next(depth + 1); err != nil {
		return err
	}
	if d.out[key] != '"' {
		return errors.New("a map has a key that is no string")
	}
	c, err := d.in.ReadByte()
	if err != nil {
		return err
	}
	if c < 0xc4 || c > 0xc6 {
		d.out = append(d.out, ':')
		return d.value(c, depth+1)
	}
	return d.sized(1<<(c-0xc4), func(n uint64) error {
		b, err := d.bytes(n)
		text := appendText(nil, b)
		if !utf8.Valid(b) || len(text)-2 > base64.StdEncoding.EncodedLen(len(b)) {
			d.out = append(d.out[:len(d.out)-1], `_base64"`...)
			text = fmt.Appendf(nil, `"%s"`, base64.StdEncoding.EncodeToString(b))
		}
		d.out = append(append(d.out, ':'), text...)
		return err
	})
}

// base64 writes bytes that stand in a list, where there is no name to change.
func (d *dump) base64(n uint64) error {
	b, err := d.bytes(n)
	d.out = fmt.Appendf(d.out, `"%s"`, base64.StdEncoding.EncodeToString(b))
	return err
}

// appendText writes a string in JSON, without escaping HTML.
func appendText(dst, text []byte) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(string(text)) // a string always encodes
	return append(dst, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}
