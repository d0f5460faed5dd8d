package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/engine"
)

func (a *app) restoreCommand() *cobra.Command {
	var dir, keyFile, backupKeyFile string
	var o engine.RestoreOptions
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into the data directory of a stopped store",
		Long: `Put a backup into the data directory of a store that does not run: into an empty
one, which becomes the backup's store, or with --replace in the place of the
store that is there, which is then gone. Nothing is ever merged.

The file is checked whole before anything is touched. Whatever happens on the
way, the directory has the old store or the new one. When it is served again, a
new epoch begins above all revisions of both, and followers load again.

With --encryption-key-file the store in the directory is encrypted, or becomes
so if the directory is empty; the backup is read with the same key, or with
that of --backup-key-file.`,
		Example: `  sett restore monday.backup --data-dir /var/lib/sett
  sett restore monday.backup --data-dir /var/lib/sett --replace
  sett restore monday.backup --encryption-key-file sett.key`,
		Args:        fileArg("FILE"),
		Annotations: map[string]string{ownEnv: "true"},
		RunE: func(_ *cobra.Command, args []string) (err error) {
			if o.EncryptionKey, err = a.readKey(keyFlag, keyFile); err != nil {
				return err
			}
			if o.BackupKey, err = a.readKey("backup-key-file", backupKeyFile); err != nil {
				return err
			}
			return a.restore(args[0], dir, o)
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "./sett-data", "data directory `DIR`, as of sett serve")
	fromEnv(cmd.Flags(), "data-dir", settEnv("data-dir"))
	cmd.Flags().BoolVar(&o.Replace, "replace", false, "remove the store that is in DIR")
	addBackupKey(cmd, &keyFile)
	addKeyFile(cmd.Flags(), "backup-key-file", "`FILE` with the key of the backup, if it is another", &backupKeyFile)
	return cmd
}

// restoreReport is what -o json prints.
type restoreReport struct {
	File    string `wire:"file"`
	DataDir string `wire:"data_dir"`
	engine.BackupInfo
	Into     string `wire:"into"`
	Replaced bool   `wire:"replaced"`
	Lost     string `wire:"lost,omitempty"`
}

func (a *app) restore(file, dir string, o engine.RestoreOptions) error {
	privateFiles()
	info, err := engine.RestoreDir(file, dir, o)
	if errors.Is(err, engine.ErrOccupied) {
		return &exitError{status: 1, text: err.Error(), hint: "--replace puts the backup in its place, and the store that is there is gone"}
	}
	if err != nil {
		return err
	}
	if info.Lost != "" {
		a.note("the last revision of the old store could not be read: %s", info.Lost)
	}
	switch a.format {
	case asJSON:
		return a.printJSON(&restoreReport{file, dir, info.BackupInfo, info.Into, info.Replaced, info.Lost})
	case asRaw:
		return a.println(info.Into)
	}
	return a.say("restored %s to %s %s", counted(info.Keys, info.Instances), dir, details("store "+info.Into, "backup of "+revision(info.Revision)))
}
