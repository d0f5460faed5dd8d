package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// Exit statuses beside 0, 1 (anything else) and those of [statusOf].
const (
	exitUsage       = 2
	exitNotLocked   = 4   // another one has the lock
	exitLost        = 9   // the lock was lost
	exitCannotRun   = 126 // as shells: there is such a command, but it does not run
	exitNoCommand   = 127
	exitInterrupted = 130
)

// usageError is a command line that cannot be meant. It prints with the way to
// the help.
type usageError struct {
	command string // "sett kv set"
	text    string
}

func (e *usageError) Error() string { return e.text }

// exitError is an end with a status of its own, such as that of a command that
// was run. Without a text there is nothing to add.
type exitError struct {
	status     int
	text, hint string
}

func (e *exitError) Error() string { return e.text }

// failure is a request that did not succeed, or a connection.
type failure struct {
	subject string // "kv.set", or "" where it did not come to a request
	write   bool
	server  string // URLs
	joining bool   // of sett serve
	err     *codec.Error
}

func (f *failure) Error() string {
	if f.subject == "" {
		return f.err.Message
	}
	return fmt.Sprintf("%s: %s: %s", f.subject, f.err.Code, strings.TrimPrefix(f.err.Message, f.subject+": "))
}

func (f *failure) Unwrap() error { return f.err }

// statusOf is the exit status of a code. A time-out is settled for a read and
// open for a command, which may have been applied.
func statusOf(code codec.Code, write bool) int {
	switch code {
	case codec.Invalid, codec.TooLarge:
		return exitUsage
	case codec.NotFound:
		return 3
	case codec.Conflict:
		return 4
	case codec.Denied:
		return 5
	case codec.Overloaded, codec.Unavailable:
		return 6
	case codec.Internal:
		return 7
	case codec.Timeout:
		if write {
			return 7
		}
		return 6
	}
	return 1
}

// report says on the standard error what went wrong and what to do, and
// returns the exit status.
func (a *app) report(err error) int {
	usage, isUsage := errors.AsType[*usageError](err)
	failed, isFailure := errors.AsType[*failure](err)
	exit, isExit := errors.AsType[*exitError](err)
	switch {
	case err == nil:
		return 0
	case isExit:
		if exit.text != "" {
			a.complain(err, exit.hint)
		}
		return exit.status
	case isUsage:
		a.complain(err, fmt.Sprintf("`%s --help` shows how", usage.command))
		return exitUsage
	case isFailure:
		if a.format == asJSON && failed.err.Epoch != 0 { // it came over the wire
			a.printJSON(failed.err)
		}
		a.complain(err, failed.hint())
		return statusOf(failed.err.Code, failed.write)
	case err == context.Canceled: // whoever ended it knows
		return exitInterrupted
	case errors.Is(err, context.Canceled):
		a.complain(err, "")
		return exitInterrupted
	}
	a.complain(err, keyHint(err))
	return 1
}

// complain prints an error, and below it what to do.
func (a *app) complain(err error, hint string) {
	fmt.Fprintf(a.stderr, "sett: %v\n", err)
	if hint != "" {
		fmt.Fprintf(a.stderr, "      %s\n", hint)
	}
}

// hint says what to do about a failure, or "".
func (f *failure) hint() string {
	switch f.err.Code {
	case codec.Conflict:
		return "nothing was written; read it again, then repeat this with the revision that it has by then"
	case codec.Denied:
		if f.joining {
			return "check --creds, --user, --context, and SETT_CREDS, SETT_USER, SETT_CONTEXT in the environment; `sett permissions --store` prints what its user needs"
		}
		if f.subject == "" {
			return "check --creds, --user, --context, and NATS_CREDS, NATS_USER, NATS_CONTEXT in the environment"
		}
		return "the NATS server does not allow this user to; its permissions decide"
	case codec.Overloaded:
		return "nothing was applied; try again in a moment"
	case codec.Unavailable:
		if f.joining {
			return "--nats-url or --context names another one; without both `sett serve` brings its own"
		}
		if f.subject == "" {
			return "start one with `sett serve`, or name yours: -s nats://HOST:4222, or --context NAME"
		}
		return fmt.Sprintf("asked on %s; -s URL or --context NAME asks elsewhere", f.server)
	case codec.Timeout:
		if f.write {
			return "it may have been applied: read before you repeat it; --timeout waits longer"
		}
		return "try again; --timeout waits longer"
	case codec.NotFound:
		if f.subject == subjects.SvcHeartbeat.Subject {
			return "the instance is gone or never was: `sett svc register` it again"
		}
	case codec.Compacted:
		return compactedHint(f.err)
	case codec.Internal:
		return "it may have been applied; the store's log has the reason"
	}
	return ""
}
