// Package integration tests sett from the outside: the built binary, real
// processes, real NATS connections, and messages made by hand. It also holds
// the rules that the repository keeps about itself (TestLint...).
//
// The tests import subjects and codec for their lists and limits, and where
// the Go client itself is tested; what goes over the wire is otherwise written
// as literal JSON or by the msgpack library, so that a mistake in codec does
// not hide itself. SETT_LONG=1 makes the tests under load run longer.
package integration
