package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
)

// Formats of --output. Without one a command prints what suits it.
const (
	asTable = "table"
	asJSON  = "json"
	asRaw   = "raw"
)

// formatsKey marks a command that has formats of its own instead.
const formatsKey = "sett_formats"

// formatsOf are the formats that the command has.
func formatsOf(cmd *cobra.Command) []string {
	if own := cmd.Annotations[formatsKey]; own != "" {
		return strings.Fields(own)
	}
	return []string{asTable, asJSON, asRaw}
}

// checkFormat refuses a format that the command does not have; "" is always
// what suits it.
func checkFormat(cmd *cobra.Command, format string) error {
	formats := formatsOf(cmd)
	if format == "" || slices.Contains(formats, format) {
		return nil
	}
	last := len(formats) - 1
	return usagef(cmd, "--output is %q, but must be %s or %s", format, strings.Join(formats[:last], ", "), formats[last])
}

// completeFormat is for the flag --output.
func completeFormat(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return formatsOf(cmd), cobra.ShellCompDirectiveNoFileComp
}

// printJSON prints a reply as it goes over the wire, on one line.
func (a *app) printJSON(reply any) error {
	line := append(codec.Append(nil, codec.JSON, reply), '\n')
	_, err := a.stdout.Write(line)
	return err
}

func (a *app) println(s string) error {
	_, err := io.WriteString(a.stdout, s+"\n")
	return err
}

// say prints a confirmation, unless --quiet.
func (a *app) say(format string, args ...any) error {
	if a.quiet {
		return nil
	}
	_, err := fmt.Fprintf(a.stdout, format+"\n", args...)
	return err
}

// note prints beside the output, unless --quiet.
func (a *app) note(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.stderr, format+"\n", args...)
	}
}

// printable shows a value on one line: text as it is, with what a terminal
// would act upon escaped, and the size of anything else.
func printable(value []byte) string {
	const most = 100
	if !utf8.Valid(value) {
		return fmt.Sprintf("(%s, binary)", size(len(value)))
	}
	var b strings.Builder
	for i, r := range string(value) {
		if i >= most {
			return fmt.Sprintf("%s... (%s)", b.String(), size(len(value)))
		}
		if unicode.IsPrint(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

func size(n int) string {
	switch {
	case n < 10_000:
		return one("byte", int64(n))
	case n < 10_000_000:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d MiB", n>>20)
}

// expires says how long something has still to live; "" where it lives on.
func expires(expiresAtMs int64, now time.Time) string {
	if expiresAtMs == 0 {
		return ""
	}
	left := time.UnixMilli(expiresAtMs).Sub(now)
	if left <= 0 {
		return "now"
	}
	return "in " + span(left)
}

// span shows a duration with as much of it as people read.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	case d < 2*day:
		text := d.Round(time.Second).String()
		for _, zero := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(text, zero) {
				text = text[:len(text)-2]
			}
		}
		return text
	}
	return fmt.Sprintf("%dd", (d+day/2)/day)
}

// ttl shows a TTL; "" where there is none.
func ttl(ms int64) string {
	if ms == 0 {
		return ""
	}
	return span(time.Duration(ms) * time.Millisecond)
}

// details joins what is worth telling, in brackets.
func details(parts ...string) string {
	var told []string
	for _, p := range parts {
		if p != "" {
			told = append(told, p)
		}
	}
	return "(" + strings.Join(told, ", ") + ")"
}

func revision(n uint64) string { return "revision " + number(n) }

func number[T uint64 | int64](n T) string { return fmt.Sprint(n) }

func expiring(expiresAtMs int64) string {
	if left := expires(expiresAtMs, time.Now()); left != "" {
		return "expires " + left
	}
	return ""
}
