package subjects

import (
	"strings"

	"github.com/settkv/sett/codec"
)

// Prefix is the token that all subjects of a deployment begin with, or "":
// "prod" makes kv.set prod.kv.set.
type Prefix string

// Validate checks that the prefix is one token of A-Z a-z 0-9 _ -, none of the
// roots of the contract, and does not begin with "_".
func (p Prefix) Validate() error {
	switch p {
	case "":
		return nil
	case "kv", "svc", "batch", "store":
		return codec.Invalidf("subject-prefix", "%q is a root of the contract itself", string(p))
	}
	if p[0] == '_' {
		return codec.Invalidf("subject-prefix", `must not begin with "_"`)
	}
	for i := range len(p) {
		if c := p[i]; !codec.IsTokenByte(c) || strings.IndexByte(":=@+~", c) >= 0 {
			return codec.Invalidf("subject-prefix", "%q must be one token of A-Z a-z 0-9 _ -", string(p))
		}
	}
	return nil
}

// Wrap puts the prefix before a subject of the contract.
func (p Prefix) Wrap(subject string) string {
	if p == "" {
		return subject
	}
	return string(p) + "." + subject
}

// Strip takes the prefix off; ok is false where the subject has another.
func (p Prefix) Strip(subject string) (rest string, ok bool) {
	if p == "" {
		return subject, true
	}
	rest, ok = strings.CutPrefix(subject, string(p))
	if !ok || rest == "" || rest[0] != '.' {
		return "", false
	}
	return rest[1:], true
}

// Private is a subject that only stores use among themselves.
func (p Prefix) Private(tail string) string {
	if p == "" {
		return "_sett._." + tail
	}
	return "_sett." + string(p) + "." + tail
}

// Stream is the name of the JetStream stream that keeps the change feed: the
// message of revision N has sequence N.
func (p Prefix) Stream() string {
	if p == "" {
		return "SETT_CHANGES"
	}
	return "SETT_CHANGES_" + string(p)
}
