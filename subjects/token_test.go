package subjects

import (
	"errors"
	"strings"
	"testing"

	"github.com/settkv/sett/codec"
)

var tokenCases = []struct{ key, tokens string }{
	{"a", "a"},
	{"config/host", "config.host"},
	{"config.host", "config%2Ehost"},
	{"AZaz09-_:=@+~", "AZaz09-_:=@+~"},
	{"/", "%.%"},
	{"//", "%.%.%"},
	{"/a", "%.a"},
	{"a/", "a.%"},
	{"a//b", "a.%.b"},
	{"%", "%25"},
	{"%/", "%25.%"},
	{"%2F", "%252F"},
	{"*", "%2A"},
	{">", "%3E"},
	{"a/*/>", "a.%2A.%3E"},
	{"$SYS", "%24SYS"},
	{"a b\tc", "a%20b%09c"},
	{"\r\n", "%0D%0A"},
	{"é", "%C3%A9"},
	{"e\u0301", "e%CC%81"}, // the same to the eye, and another key
	{"鍵/値", "%E9%8D%B5.%E5%80%A4"},
	{"\u202e\ufeff", "%E2%80%AE%EF%BB%BF"},
	{"\x7f\x80\xff", "%7F%80%FF"},
	{"a\\b\"c'd", "a%5Cb%22c%27d"},
	{"", "%"}, // no key, but the mapping has no holes
}

func TestTokens(t *testing.T) {
	for _, c := range tokenCases {
		if got := Tokens(c.key); got != c.tokens {
			t.Errorf("Tokens(%q) = %q, want %q", c.key, got, c.tokens)
		}
		if got, err := Key(c.tokens); err != nil || got != c.key {
			t.Errorf("Key(%q) = %q, %v, want %q", c.tokens, got, err, c.key)
		}
		if got := string(AppendTokens([]byte("x."), c.key)); got != "x."+c.tokens {
			t.Errorf("AppendTokens after x.: %q", got)
		}
	}
}

func TestKeyTakesOnlyTheCanonicalForm(t *testing.T) {
	for _, tokens := range []string{
		"", ".", "a.", ".a", "a..b", // empty tokens
		"%2e", "%c3%a9", "%2Eb%2e", // lower-case hex
		"%41", "%2D", "%7E", "a%5Fb", // bytes that stand for themselves
		"%2F", "a%2Fb", // a separator in disguise
		"%%", "%%%", "a%", "%a", "%.%a", "a.%b", "%2", "a%2", "%G0", "%0G", "% 0", "%.%%",
		"a/b", "a b", "*", ">", "a.*", "a.>", "a\x00", "é", "a,b",
	} {
		key, err := Key(tokens)
		if !errors.Is(err, codec.ErrInvalid) {
			t.Errorf("Key(%q) = %q, %v, want invalid", tokens, key, err)
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, c := range tokenCases {
		f.Add(c.key)
		f.Add(c.tokens)
	}
	f.Add("a..b")
	f.Add("%2e.%41")
	f.Fuzz(func(t *testing.T, s string) {
		// Every key comes back, so no two keys share their tokens.
		tokens := Tokens(s)
		if back, err := Key(tokens); err != nil || back != s {
			t.Fatalf("%q became %q, which became %q, %v", s, tokens, back, err)
		}
		if strings.ContainsAny(tokens, " \t\r\n*>") || strings.Contains("."+tokens+".", "..") {
			t.Fatalf("%q became %q, which NATS does not deliver literally", s, tokens)
		}
		if codec.ValidateKey(s) == nil && len(tokens) > codec.MaxSubject {
			t.Fatalf("%q is valid, but its subject has %d bytes", s, len(tokens))
		}
		// Every accepted text is exactly what its key is written as.
		if key, err := Key(s); err == nil && Tokens(key) != s {
			t.Fatalf("%q was accepted for %q, which is written %q", s, key, Tokens(key))
		}
	})
}

// TestKeyIsInjectiveOnShortTokens walks every short text over the bytes that
// matter: each is accepted exactly if it is what its key is written as.
func TestKeyIsInjectiveOnShortTokens(t *testing.T) {
	const alphabet = "a.%/2F4"
	seen := make(map[string]string)
	var walk func(text string, left int)
	walk = func(text string, left int) {
		if key, err := Key(text); err == nil {
			if other, twice := seen[key]; twice {
				t.Fatalf("%q and %q are both %q", text, other, key)
			}
			seen[key] = text
			if Tokens(key) != text {
				t.Fatalf("%q is accepted, %q is written", text, Tokens(key))
			}
		}
		for i := range len(alphabet) * min(left, 1) {
			walk(text+alphabet[i:i+1], left-1)
		}
	}
	walk("", 6)
}

func TestTokensAllocateOnce(t *testing.T) {
	e := &codec.Event{Kind: codec.ServiceEvent, Name: "web", ID: "10.0.0.1:8080"}
	for name, f := range map[string]func(){
		"Tokens":    func() { sink = Tokens("config/some/longer key/host") },
		"Key":       func() { sink, _ = Key("config.some.longer%20key.host") },
		"Announced": func() { sink = Announced("prod", e) },
	} {
		if n := testing.AllocsPerRun(100, f); n > 1 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { parsed, sink = Parse("kv.get.config.host") }); n > 0 {
		t.Errorf("Parse allocates %v times", n)
	}
}

var (
	sink   string
	parsed *Info
)

func BenchmarkTokens(b *testing.B) {
	for name, key := range map[string]string{"plain": "config/service-a/database/host", "escaped": "config/a.b/ü/*"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = Tokens(key)
			}
		})
	}
}

func BenchmarkKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		sink, _ = Key("config.service-a.database.host")
	}
}

func BenchmarkAnnounced(b *testing.B) {
	for name, e := range map[string]*codec.Event{
		"key":     {Kind: codec.KeyEvent, Name: "config/service-a/database/host"},
		"service": {Kind: codec.ServiceEvent, Name: "web", ID: "10.0.0.1:8080"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = Announced("prod", e)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parsed, sink = Parse("kv.get.config.service-a.database.host")
	}
}
