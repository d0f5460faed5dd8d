package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

func (a *app) backupCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "backup",
		Short: "Write, check and list backups",
		Long: `Write, check and list backups. A backup is one file with the whole store at one
revision, packed, with checksums over every part and over the whole; sett
restore puts it back. sett serve --backup-dir DIR writes them by itself.`,
		Example: `  sett backup create monday.backup
  sett backup verify monday.backup`,
	})
	cmd.AddCommand(a.backupCreateCommand(), a.backupVerifyCommand(), a.backupListCommand())
	return cmd
}

// fileArg is for commands with exactly one argument.
func fileArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usagef(cmd, "%s is missing", name)
		case len(args) > 1:
			return usagef(cmd, "too many arguments: %q", args[1:])
		}
		return nil
	}
}

func (a *app) backupCreateCommand() *cobra.Command {
	c := &backupCreation{a: a}
	cmd := &cobra.Command{
		Use:   "create FILE|-",
		Short: "Write a backup of a store that runs, or of a stopped one",
		Long: `Write a backup of the store that runs behind the NATS server to FILE on this
machine, or to the standard output, while writing goes on. With --data-dir it is
one of a store that does not run.

FILE is there whole or not at all, and replaces one that was there. It was read
back as it was written: it can be restored.

A backup of an encrypted store is encrypted with the same key. To read one back
that came over NATS the key is needed here, too; without it only its sums are
checked.`,
		Example: `  sett backup create monday.backup
  sett backup create - | ssh vault 'cat > monday.backup'
  sett backup create monday.backup --data-dir /var/lib/sett
  sett backup create b --data-dir DIR --encryption-key-file sett.key --plain`,
		Args:        fileArg("FILE"),
		Annotations: map[string]string{subjectsKey: subjects.StoreBackup.Subject},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" && isTerminal(a.stdout) {
				return usagef(cmd, "a backup is nothing for a terminal: name a file, or send it elsewhere with | or >")
			}
			if c.plain && c.dir == "" {
				return usagef(cmd, "--plain goes with --data-dir: a running store is told by sett serve --plain-backups")
			}
			var err error
			if c.key, err = a.readKey(keyFlag, c.keyFile); err != nil {
				return err
			}
			c.file = args[0]
			return c.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&c.dir, "data-dir", "", "of the stopped store in `DIR`, not over NATS")
	addBackupKey(cmd, &c.keyFile)
	cmd.Flags().BoolVar(&c.plain, "plain", false, "do not encrypt the backup of an encrypted store")
	return cmd
}

// backupCreation is one run of `sett backup create`.
type backupCreation struct {
	a                  *app
	file, dir, keyFile string
	key                []byte
	plain              bool
	sealed             bool // it was read back without its key
}

// what says what was backed up.
func (c *backupCreation) what(info *engine.BackupInfo) string {
	if c.sealed {
		return "store " + info.StoreID
	}
	return counted(info.Keys, info.Instances)
}

const keyFlag = "encryption-key-file"

// addBackupKey adds the flag for the key of an encrypted store and its backups.
func addBackupKey(cmd *cobra.Command, file *string) {
	addKeyFile(cmd.Flags(), keyFlag, "`FILE` with the key of an encrypted store, and of its backups", file)
	fromEnv(cmd.Flags(), keyFlag, settEnv(keyFlag))
}

func (c *backupCreation) run(ctx context.Context) error {
	if c.dir != "" {
		return c.write(func(w io.Writer) error {
			_, err := engine.BackupDir(c.dir, w, engine.BackupOptions{EncryptionKey: c.key, Plain: c.plain})
			return err
		})
	}
	s, err := c.a.open()
	if err != nil {
		return err
	}
	defer s.close()
	client, err := subjects.NewClient(s.nc, subjects.Options{Prefix: s.prefix, Timeout: s.timeout})
	if err != nil {
		return err
	}
	return c.write(func(w io.Writer) error {
		if _, err := client.Backup(ctx, w); err != nil {
			return s.failed(subjects.StoreBackup.Subject, err)
		}
		return nil
	})
}

// write takes the backup, and reads it back at the same time.
func (c *backupCreation) write(from func(io.Writer) error) (err error) {
	var info engine.BackupInfo
	bar := c.a.newProgress("backing up", 0, true)
	take := func(to io.Writer) (err error) {
		info, err = verified(to, c.key, func(w io.Writer) error { return from(&counting{w, bar}) })
		bar.clear()
		if errors.Is(err, engine.ErrBackupSealed) {
			c.a.note("the backup is encrypted: without --%s its sums were checked, but not what is in it", keyFlag)
			c.sealed = true
			return nil
		}
		return err
	}
	if c.file == "-" {
		if err := take(c.a.stdout); err != nil {
			return err
		}
		c.a.note("backed up %s %s", c.what(&info), details(revision(info.Revision), size(int(info.Size))))
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(c.file), 0o700); err != nil {
		return err
	}
	if err := replaceFile(c.file, take); err != nil {
		return err
	}
	return c.a.showBackup(c.file, &info, func() error {
		return c.a.say("backed up %s to %s %s", c.what(&info), c.file, details(revision(info.Revision), size(int(info.Size))))
	})
}

// verified passes on what write writes, and reads it as a restore would.
func verified(to io.Writer, key []byte, write func(io.Writer) error) (info engine.BackupInfo, err error) {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		var err error
		info, err = engine.VerifyBackupKey(r, key)
		r.CloseWithError(err)
		done <- err
	}()
	err = write(io.MultiWriter(to, w))
	w.CloseWithError(err) // nil: the end
	if bad := <-done; err == nil {
		err = bad
	}
	return info, err
}

// counting shows how much was written.
type counting struct {
	w   io.Writer
	bar *progress
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.bar.add(int64(n))
	return n, err
}

// backupReport is a backup as -o json prints it.
type backupReport struct {
	File string `wire:"file"`
	engine.BackupInfo
}

// showBackup prints what is known of a backup: people see it as show prints it.
func (a *app) showBackup(file string, info *engine.BackupInfo, show func() error) error {
	switch a.format {
	case asJSON:
		return a.printJSON(&backupReport{file, *info})
	case asRaw:
		return a.println(number(info.Revision))
	}
	return show()
}

func (a *app) backupVerifyCommand() *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "verify FILE|-",
		Short: "Check a backup, and say what is in it",
		Long: `Read a backup whole, and check every sum and record in it, as sett restore does
before it touches anything. A damaged one, or one that was cut off, is refused
with status 1 and where the damage is. An encrypted one needs its key; without
it the status is 1 too, but the error says whether its sums are right.`,
		Example: `  sett backup verify monday.backup
  ssh vault 'cat monday.backup' | sett backup verify - -o json
  sett backup verify monday.backup --encryption-key-file sett.key`,
		Args: fileArg("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := a.readKey(keyFlag, keyFile)
			if err != nil {
				return err
			}
			return a.verifyBackup(args[0], key)
		},
	}
	addBackupKey(cmd, &keyFile)
	return cmd
}

func (a *app) verifyBackup(file string, key []byte) error {
	in := a.stdin
	bar := a.newProgress("checking", 0, true)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if stat, err := f.Stat(); err == nil {
			bar = a.newProgress("checking", stat.Size(), true)
		}
		in = f
	}
	info, err := engine.VerifyBackupKey(io.TeeReader(in, &counting{io.Discard, bar}), key)
	bar.clear()
	if errors.Is(err, engine.ErrBackupSealed) {
		return &exitError{status: 1, text: file + ": all sums are right, but " + err.Error(), hint: keyHint(err)}
	}
	if err != nil {
		return &exitError{status: 1, text: file + ": " + err.Error(), hint: keyHint(err)}
	}
	return a.showBackup(file, &info, func() error {
		if a.quiet {
			return nil
		}
		return a.table([]string{"backup", file}, [][]string{
			{"whole", "yes"},
			{"encrypted", yesOrNo(info.Encryption != "")},
			{"store", info.StoreID},
			{"revision", number(info.Revision)},
			{"epoch", number(info.Epoch)},
			{"taken", info.Time().Format(time.DateTime)},
			{"by version", info.Version},
			{"keys", number(info.Keys)},
			{"instances", number(info.Instances)},
			{"size", size(int(info.Size)) + ", " + size(int(info.Bytes)) + " unpacked"},
			{"sha256", info.SHA256},
		})
	})
}

func (a *app) backupListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list DIR",
		Short: "List the backups in a directory, the oldest first",
		Long: `List the backups in a directory by what their beginning says. Whether they are
whole only sett backup verify can tell.`,
		Example: "  sett backup list /var/backups/sett\n  sett backup list /var/backups/sett -o raw",
		Args:    fileArg("DIR"),
		RunE:    func(_ *cobra.Command, args []string) error { return a.listBackups(args[0]) },
	}
}

// listedBackup is a line of `sett backup list`.
type listedBackup struct {
	File     string `wire:"file"`
	StoreID  string `wire:"store_id"`
	Revision uint64 `wire:"revision"`
	Epoch    uint64 `wire:"epoch"`
	TimeMs   int64  `wire:"time_ms"`
	Size     int64  `wire:"size"`
	Error    string `wire:"error,omitempty"`
}

func (a *app) listBackups(dir string) error {
	all, err := backupsIn(dir)
	if err != nil {
		return err
	}
	var rows [][]string
	for _, b := range all {
		switch a.format {
		case asJSON:
			err = a.printJSON(b)
		case asRaw:
			err = a.println(b.File)
		}
		if err != nil {
			return err
		}
		told := []string{"", "", "", b.Error}
		if b.Error == "" {
			told = []string{number(b.Revision), time.UnixMilli(b.TimeMs).Format(time.DateTime), size(int(b.Size)), b.StoreID}
		}
		rows = append(rows, append([]string{filepath.Base(b.File)}, told...))
	}
	if a.format == asJSON || a.format == asRaw {
		return nil
	}
	if len(rows) == 0 {
		a.note("no backups")
		return nil
	}
	return a.table([]string{"FILE", "REVISION", "TAKEN", "SIZE", "STORE"}, rows)
}

// backupsIn finds the backups in a directory, the oldest first. What is named
// like one and cannot be read as one is listed with the reason, anything else
// is left out.
func backupsIn(dir string) (all []*listedBackup, err error) {
	files, err := os.ReadDir(dir) // by name
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if !f.Type().IsRegular() {
			continue
		}
		b := &listedBackup{File: filepath.Join(dir, f.Name())}
		err := b.read()
		if err == nil || strings.HasSuffix(f.Name(), backupSuffix) && !strings.HasPrefix(f.Name(), ".") {
			all = append(all, b)
		}
	}
	sortBackups(all)
	return all, nil
}

func (b *listedBackup) read() error {
	f, err := os.Open(b.File)
	if err != nil {
		b.Error = err.Error()
		return err
	}
	defer f.Close()
	info, err := engine.ReadBackupHeader(f)
	stat, statErr := f.Stat()
	if err = errors.Join(err, statErr); err != nil {
		b.Error = err.Error()
		return err
	}
	b.StoreID, b.Revision, b.Epoch, b.TimeMs, b.Size = info.StoreID, info.Revision, info.Epoch, info.TimeMs, stat.Size()
	return nil
}
