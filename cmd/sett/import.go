package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
)

func (a *app) importCommand() *cobra.Command {
	im := &importing{a: a}
	cmd := &cobra.Command{
		Use:   "import FILE|- | --from jetstream:BUCKET [PREFIX]",
		Short: "Read JSON lines or a JetStream bucket into the store",
		Long: `Read what sett export wrote, or lines of this kind that were written by hand:

  {"key":"config/host","value":"10.0.0.1"}
  {"key":"session/7","value_base64":"AP8=","ttl_ms":60000}
  {"name":"web","address":"10.0.0.7","port":8080}

Empty lines and lines that begin with # are skipped. Records replace what is
there; with --create what is there stays, and is counted. A key with a deadline
(expires_at_ms) gets the rest of its time by this machine's clock, and that is
its TTL from then on; what is past is skipped. An instance gets its whole TTL,
unless its deadline is past.

A file is checked as a whole before anything is applied; the standard input is
applied as it comes. Records go in batches, each all or nothing (with --create
one by one where some are there already). If it stops in between it says which
--from-line goes on.

With --from jetstream:BUCKET it reads a JetStream key-value bucket, or what
begins with PREFIX there: the last value of each key, with the rest of its time
if the bucket or the key has a TTL. The bucket may be written to meanwhile: each
key comes as it was at the start, or later if it was overwritten since. What the
store does not take is listed, and is status 1 unless --skip-bad.`,
		Example: `  sett import all.jsonl
  sett import all.jsonl --dry-run
  generate | sett import - --create
  sett import --from jetstream:settings --dots-to-slashes
  sett import --from jetstream:settings app. --from-server nats://old:4222`,
	}
	f := cmd.Flags()
	f.BoolVar(&im.create, "create", false, "only what is not there")
	f.BoolVar(&im.fresh, "fresh-ttl", false, "the whole TTL, also for what is past its deadline")
	f.BoolVar(&im.dryRun, "dry-run", false, "check everything and say what would be done, without asking the store")
	f.Int64Var(&im.fromLine, "from-line", 1, "go on at line `N`")
	f.StringVar(&im.from, "from", "", "read from `SOURCE`: jetstream:BUCKET")
	f.StringVar(&im.fromServer, "from-server", "", "`URL`s of the bucket's NATS servers, if they are others")
	f.StringVar(&im.fromContext, "from-context", "", "the context of the bucket's NATS server: `NAME` or a file")
	f.BoolVar(&im.slashes, "dots-to-slashes", false, "a.b in the bucket becomes a/b")
	f.BoolVar(&im.skipBad, "skip-bad", false, "what cannot be taken is no failure")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if im.from != "" {
			return im.bucketArgs(cmd, args)
		}
		for _, name := range []string{"from-server", "from-context", "dots-to-slashes", "skip-bad"} {
			if f.Changed(name) {
				return usagef(cmd, "--%s goes with --from jetstream:BUCKET", name)
			}
		}
		if len(args) != 1 || args[0] == "" {
			return usagef(cmd, "wants one FILE, - for the standard input, or --from jetstream:BUCKET")
		}
		if im.fromLine < 1 {
			return usagef(cmd, "--from-line must be at least 1")
		}
		return im.file(cmd.Context(), args[0])
	}
	return cmd
}

// importing is one run of `sett import`.
type importing struct {
	a                     *app
	create, fresh, dryRun bool
	fromLine              int64

	from, fromServer, fromContext string
	bucket, prefix                string // of from
	slashes, skipBad              bool
}

// importer is where the records go. The caller calls done.
func (im *importing) importer() (to *importer, done func(), err error) {
	to = &importer{a: im.a, create: im.create, dryRun: im.dryRun}
	to.report.DryRun = im.dryRun
	if im.dryRun {
		return to, func() {}, nil
	}
	if to.s, err = im.a.open(); err != nil {
		return nil, nil, err
	}
	return to, to.s.close, nil
}

// file imports a file, or the standard input.
func (im *importing) file(ctx context.Context, name string) error {
	if name == "-" {
		return im.lines(ctx, newExportReader("stdin", im.a.stdin), 0)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // a pipe, which is read once
		return im.lines(ctx, newExportReader(name, f), 0)
	}
	if err := im.check(newExportReader(name, f)); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return im.lines(ctx, newExportReader(name, f), info.Size())
}

// mostBad is how many bad lines are told at once.
const mostBad = 10

// check reads everything before anything is applied.
func (im *importing) check(in *exportReader) error {
	var bad []string
	for len(bad) <= mostBad {
		line, err := in.next()
		if err == nil {
			_, err = im.due(in, line)
		}
		wrong, isLine := errors.AsType[*lineError](err)
		switch {
		case isLine:
			bad = append(bad, wrong.Error())
			continue
		case err != nil && err != io.EOF:
			return err
		case err == nil:
			continue
		case len(bad) == 0:
			return nil
		}
		break
	}
	if len(bad) > mostBad {
		bad[mostBad] = "and more"
	}
	return &exitError{status: exitUsage, text: strings.Join(bad, "\n      "), hint: "nothing was imported"}
}

// due sets the record's TTL, and says whether it still lives.
func (im *importing) due(in *exportReader, line *exportLine) (bool, error) {
	alive, err := line.due(time.Now(), im.fresh)
	if err != nil {
		err = in.bad(err)
	}
	return alive, err
}

// lines applies what a reader has; size is 0 where it is not known.
func (im *importing) lines(ctx context.Context, in *exportReader, size int64) error {
	to, done, err := im.importer()
	if err != nil {
		return err
	}
	defer done()
	bar := im.a.newProgress("importing", size, true)
	through, err := im.copyLines(ctx, in, to, bar)
	bar.clear()
	if err != nil {
		return im.stopped(err, in, through)
	}
	return im.a.showImport(&to.report)
}

// copyLines returns up to which line everything is imported.
func (im *importing) copyLines(ctx context.Context, in *exportReader, to *importer, bar *progress) (through int64, err error) {
	through = im.fromLine - 1
	for {
		before := in.size
		line, err := in.next()
		if err == io.EOF {
			if err := to.flush(ctx); err != nil {
				return through, err
			}
			return in.line, nil
		}
		if err != nil {
			return through, err
		}
		bar.add(in.size - before)
		if in.line < im.fromLine {
			continue
		}
		alive, err := im.due(in, line)
		if err != nil {
			return through, err
		}
		if !alive {
			to.report.Expired++
			continue
		}
		applied, err := to.add(ctx, line.op, in.line)
		if err != nil {
			return through, err
		}
		if applied {
			through = in.line - 1
		}
	}
}

// stopped is an import that ended early: why, and how to go on.
func (im *importing) stopped(err error, in *exportReader, through int64) error {
	e := &exitError{status: 1, text: err.Error(), hint: "nothing was imported"}
	switch {
	case im.dryRun:
		e.hint = ""
	case through > 0:
		e.hint = fmt.Sprintf("lines 1 to %s are imported; go on with --from-line %d", grouped(through), through+1)
	}
	if refused, ok := errors.AsType[*refusedRecord](err); ok {
		e.text = (&lineError{in.name, refused.place, refused.Error()}).Error()
	}
	return withStatus(e, err)
}

// withStatus gives e the status and the advice that err has by itself.
func withStatus(e *exitError, err error) error {
	failed, isFailure := errors.AsType[*failure](err)
	_, isLine := errors.AsType[*lineError](err)
	switch {
	case errors.Is(err, context.Canceled):
		e.status = exitInterrupted
	case isLine:
		e.status = exitUsage
	case isFailure:
		e.status = statusOf(failed.err.Code, failed.write)
		if hint := failed.hint(); hint != "" && failed.err.Code != codec.Conflict && failed.err.Code != codec.Timeout {
			e.hint = strings.TrimPrefix(e.hint+"\n      "+hint, "\n      ")
		}
	}
	return e
}
