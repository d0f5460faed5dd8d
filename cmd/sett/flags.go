package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// envKey marks a flag with the environment variable that stands in for it.
const envKey = "sett_env"

// ownEnv marks a command that does not read NATS's environment.
const ownEnv = "sett_own_env"

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
// variable counts as none. A command of its own ([ownEnv]) takes its own flags
// only.
func applyEnv(cmd *cobra.Command, lookup func(string) (string, bool)) (err error) {
	flags := cmd.Flags()
	if cmd.Annotations[ownEnv] != "" {
		flags = cmd.LocalFlags()
	}
	flags.VisitAll(func(f *pflag.Flag) {
		variables := f.Annotations[envKey]
		if len(variables) == 0 || f.Changed || err != nil {
			return
		}
		value, ok := lookup(variables[0])
		if !ok || value == "" {
			return
		}
		if failed := flags.Set(f.Name, value); failed != nil {
			err = usagef(cmd, "%s in the environment: %v", variables[0], cause(failed))
		}
	})
	return err
}

// excludedKey marks a command with two flags that do not go together.
const excludedKey = "sett_excluded"

func exclude(cmd *cobra.Command, x, y string) {
	if cmd.Annotations == nil {
		cmd.Annotations = make(map[string]string)
	}
	cmd.Annotations[excludedKey] = x + " " + y
}

func checkExcluded(cmd *cobra.Command) error {
	x, y, _ := strings.Cut(cmd.Annotations[excludedKey], " ")
	if x != "" && cmd.Flags().Changed(x) && cmd.Flags().Changed(y) {
		return usagef(cmd, "--%s and --%s do not go together", x, y)
	}
	return nil
}

// cause is what is wrong with the value of a flag, without the flag.
func cause(err error) error {
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		err = bad.Unwrap()
	}
	number, ok := errors.AsType[*strconv.NumError](err)
	switch {
	case !ok:
		return err
	case number.Err == strconv.ErrRange:
		return errors.New("is out of range")
	case number.Func == "ParseBool":
		return errors.New("must be true or false")
	case number.Func == "ParseFloat":
		return errors.New("must be a number")
	case number.Func == "ParseUint":
		return errors.New("must be a whole number that is not negative")
	}
	return errors.New("must be a whole number")
}

// usagef is a complaint about the command line of cmd.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{command: cmd.CommandPath(), text: fmt.Sprintf(format, args...)}
}
