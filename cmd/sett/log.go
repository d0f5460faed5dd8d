package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/lmittmann/tint"
)

// newLogger logs to w: in colour to a terminal, in JSON elsewhere, unless the
// format (auto, text, json) says otherwise.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level is %q, but must be debug, info, warn or error", level)
	}
	terminal := isTerminal(w)
	switch {
	case format == "json", format == "auto" && !terminal:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least})), nil
	case format == "text", format == "auto":
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: least, NoColor: !terminal, TimeFormat: time.TimeOnly})), nil
	}
	return nil, fmt.Errorf("--log-format is %q, but must be auto, text or json", format)
}

// brokerLog passes on what the embedded broker logs: its notices are our
// details, its warnings and errors are ours.
type brokerLog struct {
	log   *slog.Logger
	fatal chan string // the first error that the broker cannot live with
}

func newBrokerLog(log *slog.Logger) *brokerLog {
	return &brokerLog{log: log.With("from", "broker"), fatal: make(chan string, 1)}
}

func (b *brokerLog) Noticef(format string, v ...any) { b.log.Debug(sentence(format, v)) }
func (b *brokerLog) Warnf(format string, v ...any)   { b.log.Warn(sentence(format, v)) }
func (b *brokerLog) Errorf(format string, v ...any)  { b.log.Error(sentence(format, v)) }
func (b *brokerLog) Debugf(format string, v ...any)  { b.log.Debug(sentence(format, v)) }
func (b *brokerLog) Tracef(format string, v ...any)  { b.log.Debug(sentence(format, v)) }

// Fatalf keeps the process alive: it is ours, and stops in order.
func (b *brokerLog) Fatalf(format string, v ...any) {
	text := sentence(format, v)
	b.log.Error(text)
	select {
	case b.fatal <- text:
	default:
	}
}

func sentence(format string, v []any) string { return strings.TrimSpace(fmt.Sprintf(format, v...)) }
