package codec

import (
	"errors"
	"fmt"
)

// Code names a kind of failure. Codes are part of the contract: they never
// change their meaning, and programs decide by them and by nothing else.
type Code string

// Codes that the store answers with. The first six say that the command was
// surely not applied; Internal says that it may have been.
const (
	Invalid     Code = "invalid"     // cannot be decoded, or breaks a rule
	NotFound    Code = "not_found"   // no such key or instance
	Conflict    Code = "conflict"    // a condition did not hold
	TooLarge    Code = "too_large"   // over a limit
	Overloaded  Code = "overloaded"  // the bounded queue is full
	Unavailable Code = "unavailable" // starting, stopping, disk or outbox full
	Internal    Code = "internal"    // ours; the detail is in the store's log
)

// Codes that only a client knows; the store never sends them.
const (
	Denied    Code = "denied"    // the broker refused the request's subject
	Compacted Code = "compacted" // the asked-for history was trimmed
	Timeout   Code = "timeout"   // no answer in time: a command may have been applied
)

// One sentinel for each code. errors.Is(err, ErrNotFound) holds for every
// [Error] of that code, in the engine and across the wire.
var (
	ErrInvalid     = &Error{Code: Invalid}
	ErrNotFound    = &Error{Code: NotFound}
	ErrConflict    = &Error{Code: Conflict}
	ErrTooLarge    = &Error{Code: TooLarge}
	ErrOverloaded  = &Error{Code: Overloaded}
	ErrUnavailable = &Error{Code: Unavailable}
	ErrInternal    = &Error{Code: Internal}
	ErrDenied      = &Error{Code: Denied}
	ErrCompacted   = &Error{Code: Compacted}
	ErrTimeout     = &Error{Code: Timeout}
)

// Codes lists every code that the store answers with, in the contract's order.
func Codes() []Code {
	return []Code{Invalid, NotFound, Conflict, TooLarge, Overloaded, Unavailable, Internal}
}

// Status is the code's number in the Nats-Service-Error-Code header, and 0 for
// a code that is never sent.
func (c Code) Status() int {
	switch c {
	case Invalid:
		return 400
	case NotFound:
		return 404
	case Conflict:
		return 409
	case TooLarge:
		return 413
	case Overloaded:
		return 429
	case Internal:
		return 500
	case Unavailable:
		return 503
	}
	return 0
}

// Temporary reports whether the same request may succeed later unchanged.
func (c Code) Temporary() bool { return c == Overloaded || c == Unavailable }

// Error is a refusal: the body of an error reply, and the error that the
// engine and the client return. Only Code and Message are always set.
type Error struct {
	Position
	Code      Code    `wire:"code"`
	Message   string  `wire:"message"`            // a sentence for people
	Temporary bool    `wire:"temporary"`          // whether to retry
	Field     string  `wire:"field,omitempty"`    // the field that broke a rule
	Limit     int64   `wire:"limit,omitempty"`    // the limit that was passed
	Index     *int64  `wire:"index,omitempty"`    // the op or condition of a batch
	Key       string  `wire:"key,omitempty"`      // the key whose condition failed
	Name      string  `wire:"name,omitempty"`     // the service, likewise
	ID        string  `wire:"id,omitempty"`       // the instance, likewise
	Revision  *uint64 `wire:"revision,omitempty"` // its current revision; 0: there is none
}

// Error returns the sentence, with the code before it.
func (e *Error) Error() string {
	if e.Message == "" {
		return string(e.Code)
	}
	return string(e.Code) + ": " + e.Message
}

// Is reports whether target is an [Error] of the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Errorf makes an error of a code with a sentence.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Temporary: code.Temporary()}
}

// Invalidf says that a field breaks a rule. The field stands in the sentence
// too, so the format need not repeat it: "ttl_ms: " comes before it.
func Invalidf(field, format string, args ...any) *Error {
	e := Errorf(Invalid, format, args...)
	e.Field = field
	if field != "" {
		e.Message = field + ": " + e.Message
	}
	return e
}

// overLimit says that a field is over a limit of the contract.
func overLimit(field string, limit int64, unit string) *Error {
	e := Errorf(TooLarge, "%s: over the limit of %d %s", field, limit, unit)
	e.Field, e.Limit = field, limit
	return e
}

// Within says that an error was found in element index of a list field: the
// field becomes "ops[2].key" and index 2.
func (e *Error) Within(list string, index int) *Error {
	at := int64(index)
	e.Index = &at
	place := fmt.Sprintf("%s[%d]", list, index)
	if e.Field != "" {
		place += "." + e.Field
	}
	e.Field = place
	e.Message = fmt.Sprintf("%s[%d]: %s", list, index, e.Message)
	return e
}

// AsError returns err as an [Error]. An unknown error becomes Internal without
// its text: that belongs in the log, never on the wire.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Errorf(Internal, "the store failed; its log says why")
}
