package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) exportCommand() *cobra.Command {
	x := &exporter{a: a}
	cmd := &cobra.Command{
		Use:   "export [PREFIX]",
		Short: "Write keys and services as JSON lines",
		Long: `Write the keys that begin with PREFIX as JSON lines: one record a line, keys in
byte order, fields in a fixed order, so that two exports can be compared with
diff. Without PREFIX the instances of all services follow. The first line says
where the records come from, and the last one how many there are, so that a file
that was cut off is noticed. sett import reads it.

The store goes on meanwhile, and is read page by page. store_revision in the
first line is that of the first page: later pages, and the services, may show
newer records. A backup of the store is of one moment.

With --file the file is there whole or not at all, and replaces one that was
there.`,
		Example: `  sett export > all.jsonl
  sett export config/ --file config.jsonl
  sett export config/ | diff config.jsonl -
  sett export --services=false | sett import - -s nats://other:4222`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd, "too many arguments: %q", args[1:])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				x.prefix = args[0]
			}
			if !cmd.Flags().Changed("services") {
				x.services = x.prefix == ""
			}
			return x.run(cmd.Context())
		},
	}
	cmd.ValidArgsFunction = a.completeArgs("prefix")
	cmd.Flags().BoolVar(&x.services, "services", false, "the services too (default: only without PREFIX)")
	cmd.Flags().BoolVar(&x.revisions, "revisions", false, "with the revisions of each record, which an import ignores")
	cmd.Flags().StringVar(&x.file, "file", "", "write to `FILE` instead of the standard output")
	return cmd
}

// exporter is one run of `sett export`.
type exporter struct {
	a                   *app
	prefix, file        string
	services, revisions bool

	client *subjects.Client
	s      *session
	out    *bufio.Writer
	line   []byte // the buffer of the line that is written
	bar    *progress
	head   exportHeader
	end    exportEnd
}

func (x *exporter) run(ctx context.Context) error {
	s, err := x.a.open()
	if err != nil {
		return err
	}
	defer s.close()
	x.s = s
	if x.client, err = subjects.NewClient(s.nc, subjects.Options{Prefix: s.prefix, Timeout: s.timeout}); err != nil {
		return err
	}
	if x.file == "" {
		return x.write(ctx, x.a.stdout)
	}
	if err := replaceFile(x.file, func(to io.Writer) error { return x.write(ctx, to) }); err != nil {
		return err
	}
	return x.show()
}

// exportReport is what was written to a file.
type exportReport struct {
	Keys          int64  `wire:"keys"`
	Instances     int64  `wire:"instances"`
	StoreRevision uint64 `wire:"store_revision"`
	Epoch         uint64 `wire:"epoch"`
}

func (x *exporter) show() error {
	switch x.a.format {
	case asJSON:
		return x.a.printJSON(&exportReport{x.end.Keys, x.end.Instances, x.head.StoreRevision, x.head.Epoch})
	case asRaw:
		return x.a.println(number(x.end.Keys + x.end.Instances))
	}
	return x.a.say("exported %s to %s %s", counted(x.end.Keys, x.end.Instances), x.file, details(revision(x.head.StoreRevision)))
}

// write writes the whole export.
func (x *exporter) write(ctx context.Context, to io.Writer) error {
	total, err := x.about(ctx)
	if err != nil {
		return err
	}
	x.bar = &progress{}
	if !isTerminal(to) { // the lines would run through it
		x.bar = x.a.newProgress("exporting", total, false)
	}
	defer x.bar.clear()
	x.out = bufio.NewWriterSize(to, 64<<10)
	if err := x.keys(ctx); err != nil {
		return err
	}
	if x.services {
		if err := x.instances(ctx); err != nil {
			return err
		}
	}
	x.end.Format = exportFormat
	if err := x.put(&x.end); err != nil {
		return err
	}
	return x.out.Flush()
}

// about asks for what the header tells, and returns how many records there
// will be, if that is known. Who may read only some keys may not know more.
func (x *exporter) about(ctx context.Context) (total int64, err error) {
	status, err := x.client.Status(ctx)
	switch {
	case errors.Is(err, codec.ErrDenied):
		return 0, nil
	case err != nil:
		return 0, x.s.failed(subjects.StoreStatus.Subject, err)
	}
	x.head.StoreID = status.StoreID
	switch {
	case x.prefix != "":
		return 0, nil
	case !x.services:
		return status.Keys, nil
	}
	return status.Keys + status.Instances, nil
}

func (x *exporter) keys(ctx context.Context) error {
	for page, err := range x.client.Pages(ctx, codec.List{Prefix: x.prefix, ReturnValues: true}) {
		if err != nil {
			return x.s.failed(subjects.KVList.Subject, err)
		}
		if x.head.Format == 0 {
			x.head.Format, x.head.Prefix = exportFormat, x.prefix
			x.head.StoreRevision, x.head.Epoch = page.StoreRevision, page.Epoch
			if err := x.put(&x.head); err != nil {
				return err
			}
		}
		for i := range page.Entries {
			if err := x.put(lineOfKey(&page.Entries[i], x.revisions)); err != nil {
				return err
			}
		}
		x.end.Keys += int64(len(page.Entries))
		x.bar.add(int64(len(page.Entries)))
	}
	return nil
}

func (x *exporter) instances(ctx context.Context) error {
	for service, err := range x.client.Services(ctx, "") {
		if err != nil {
			return x.s.failed(subjects.SvcList.Subject, err)
		}
		if err := x.service(ctx, service.Name); err != nil {
			return err
		}
	}
	return nil
}

// service writes the instances of one service, whatever their status.
func (x *exporter) service(ctx context.Context, name string) error {
	get := codec.GetService{Name: name, Statuses: []string{codec.Passing, codec.Warning, codec.Critical}}
	for {
		page, err := subjects.Do(ctx, x.client, subjects.SvcGet, &get)
		if err != nil {
			return x.s.failed(subjects.SvcGet.Subject, err)
		}
		for i := range page.Instances {
			if err := x.put(lineOfInstance(&page.Instances[i], x.revisions)); err != nil {
				return err
			}
		}
		x.end.Instances += int64(len(page.Instances))
		x.bar.add(int64(len(page.Instances)))
		if page.Next == "" {
			return nil
		}
		get.Cursor = page.Next
	}
}

// put writes one line.
func (x *exporter) put(line any) error {
	x.line = append(codec.Append(x.line[:0], codec.JSON, line), '\n')
	_, err := x.out.Write(x.line)
	return err
}

// replaceFile writes a file that is there whole, synced, or not at all. What
// was there before stays until then.
func replaceFile(name string, write func(io.Writer) error) (err error) {
	switch info, err := os.Stat(name); {
	case err == nil && !info.Mode().IsRegular():
		return fmt.Errorf("%s is no plain file, and cannot be replaced by one", name)
	case err == nil:
		if name, err = filepath.EvalSymlinks(name); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(name))
}

// syncFolder makes a rename last.
func syncFolder(name string) error {
	folder, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
