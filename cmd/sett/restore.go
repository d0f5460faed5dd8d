package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/engine"
)

func (a *app) restoreCommand() *cobra.Command {
	var dir string
	var replace bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into the data directory of a stopped store",
		Long: `Put a backup into the data directory of a store that does not run: into an empty
one, which becomes the backup's store, or with --replace in the place of the
store that is there, which is then gone. Nothing is ever merged.

The file is checked whole before anything is touched. Whatever happens on the
way, the directory has the old store or the new one. When it is served again, a
new epoch begins above all revisions of both, and followers load again.`,
		Example: `  sett restore monday.backup --data-dir /var/lib/sett
  sett restore monday.backup --data-dir /var/lib/sett --replace`,
		Args:        fileArg("FILE"),
		Annotations: map[string]string{ownEnv: "true"},
		RunE:        func(_ *cobra.Command, args []string) error { return a.restore(args[0], dir, replace) },
	}
	cmd.Flags().StringVar(&dir, "data-dir", "./sett-data", "data directory `DIR`, as of sett serve")
	fromEnv(cmd.Flags(), "data-dir", settEnv("data-dir"))
	cmd.Flags().BoolVar(&replace, "replace", false, "remove the store that is in DIR")
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

func (a *app) restore(file, dir string, replace bool) error {
	privateFiles()
	info, err := engine.RestoreDir(file, dir, replace)
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
