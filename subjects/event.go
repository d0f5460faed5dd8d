package subjects

import (
	"reflect"

	"github.com/settkv/sett/codec"
)

// EventInfo describes an event: one row of the contract.
type EventInfo struct {
	Subject string       // without prefix and tail: "kv.changed"
	Tail    string       // what follows, for people: "<key>"
	Doc     string       // one sentence
	Body    reflect.Type // the struct that is announced
}

// Event is one kind of message that the store publishes and never answers.
type Event[T any] struct{ *EventInfo }

// Decode reads an event in either encoding; fields that it does not know are
// ignored.
func (Event[T]) Decode(payload []byte) (*T, error) {
	body := new(T)
	if err := codec.Decode(payload, body); err != nil {
		return nil, err
	}
	return body, nil
}

// Under is the subject filter of everything that is announced below a prefix
// of keys that ends in "/", or of everything.
func (e Event[T]) Under(p Prefix, keyPrefix string) string {
	if keyPrefix == "" {
		return p.Wrap(e.Subject + ".>")
	}
	return p.Wrap(e.Subject + "." + Tokens(keyPrefix[:len(keyPrefix)-1]) + ".>")
}

// Announced is the subject that an event of the outbox is published on. It
// runs for every change: one allocation.
func Announced(p Prefix, e *codec.Event) string {
	var stack [subjectBuf]byte
	return string(AppendAnnounced(stack[:0], p, e))
}

// AppendAnnounced writes the subject that [Announced] returns, after dst.
func AppendAnnounced(dst []byte, p Prefix, e *codec.Event) []byte {
	if p != "" {
		dst = append(append(dst, p...), '.')
	}
	switch e.Kind {
	case codec.ServiceEvent:
		dst = append(append(dst, SvcChanged.Subject...), '.')
		dst = AppendTokens(dst, e.Name)
		return AppendTokens(append(dst, '.'), e.ID)
	case codec.StoreEvent:
		dst = append(append(dst, StoreChanged.Subject...), '.')
		return append(dst, e.Name...)
	default:
		dst = append(append(dst, KVChanged.Subject...), '.')
		return AppendTokens(dst, e.Name)
	}
}

func event[T any](subject, tail, doc string) Event[T] {
	return Event[T]{&EventInfo{Subject: subject, Tail: tail, Doc: doc, Body: reflect.TypeFor[T]()}}
}
