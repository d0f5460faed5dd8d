// Package codec is the vocabulary of sett: every message and every stored
// structure, with its rules, its limits, its errors and its bytes.
//
// A message is a plain struct whose fields carry a wire tag. [DecodeRequest]
// reads one strictly, in msgpack or JSON, whichever the payload is; [Decode]
// reads what a store wrote and ignores fields it does not know; [Append] writes
// one. Whatever arrives is scanned by [Guard] before anything is decoded, so
// that no message can make a program allocate out of proportion to its size.
//
// [Error] is the one kind of refusal. Its [Code] says what happened, and
// errors.Is(err, ErrNotFound) holds in the store and across the wire.
package codec
