package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envKey marks a flag with the environment variable that stands in for it.
const envKey = "sett_env"

// fromEnv lets an environment variable stand in for a flag that is not given,
// and says so in the flag's help.
func fromEnv(fs *pflag.FlagSet, name, variable string) {
	f := fs.Lookup(name)
	f.Usage += " [$" + variable + "]"
	if err := fs.SetAnnotation(name, envKey, []string{variable}); err != nil {
		panic(err) // a flag that does not exist: a mistake in this program
	}
}

// settEnv is the variable of a flag of sett's own: --data-dir, SETT_DATA_DIR.
func settEnv(name string) string {
	return "SETT_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// applyEnv sets the flags that were not given from the environment. An empty
// variable counts as none.
func applyEnv(cmd *cobra.Command, lookup func(string) (string, bool)) (err error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		variables := f.Annotations[envKey]
		if len(variables) == 0 || f.Changed || err != nil {
			return
		}
		value, ok := lookup(variables[0])
		if !ok || value == "" {
			return
		}
		if failed := cmd.Flags().Set(f.Name, value); failed != nil {
			err = usagef(cmd, "%s in the environment: %v", variables[0], failed)
		}
	})
	return err
}

// usagef is a complaint about the command line of cmd.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{command: cmd.CommandPath(), text: fmt.Sprintf(format, args...)}
}
