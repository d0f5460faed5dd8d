package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

func (a *app) kvEdit() *cobra.Command {
	return &cobra.Command{
		Use:   "edit KEY",
		Short: "Edit a value in your editor",
		Long: `Open a value in $VISUAL or $EDITOR and write it back, if nobody else has
written it meanwhile; if somebody has, your text stays in a file. The key keeps
its deadline. A key that is not there is created. The newline that editors put
at the end is left out where the value had none.`,
		Example: `  sett kv edit config/app
  EDITOR="code --wait" sett kv edit config/app`,
		ValidArgsFunction: a.completeArgs("key"),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef(cmd, "wants one KEY")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.open()
			if err != nil {
				return err
			}
			defer s.close()
			return a.edit(cmd.Context(), s, args[0])
		},
	}
}

func (a *app) edit(ctx context.Context, s *session, key string) error {
	old, err := ask(ctx, s, subjects.KVGet, &codec.Get{Key: key})
	switch {
	case errors.Is(err, codec.ErrNotFound):
		old = &codec.GetReply{}
	case err != nil:
		return err
	}
	file, err := writeTemp(old.Value)
	if err != nil {
		return err
	}
	text, err := a.runEditor(ctx, file)
	if err != nil {
		os.Remove(file)
		return err
	}
	if !bytes.HasSuffix(old.Value, []byte("\n")) {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	if bytes.Equal(text, old.Value) {
		os.Remove(file)
		return a.say("%s is unchanged", key)
	}
	set := &codec.Set{Key: key, Value: text, KeepTTL: true, IfRevision: &old.Revision}
	resp, err := ask(ctx, s, subjects.KVSet, set)
	if err != nil {
		fmt.Fprintf(a.stderr, "sett: your text is in %s\n", file)
		return err
	}
	os.Remove(file)
	if a.format == asJSON {
		return a.printJSON(resp)
	}
	return a.say("set %s %s", key, details(revision(resp.Revision), expiring(resp.ExpiresAtMs)))
}

// writeTemp writes a value to a new file that nobody else may read.
func writeTemp(value []byte) (string, error) {
	f, err := os.CreateTemp("", "sett-edit-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(value)
	return f.Name(), errors.Join(err, f.Close())
}

// runEditor lets a person edit the file, and reads it.
func (a *app) runEditor(ctx context.Context, file string) ([]byte, error) {
	editor := "vi"
	for _, name := range []string{"VISUAL", "EDITOR"} {
		if value := os.Getenv(name); value != "" {
			editor = value
			break
		}
	}
	// Through the shell, as git does: an editor may come with arguments.
	cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.stdin, a.stdout, a.stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the editor %q failed, nothing was written: %w", editor, err)
	}
	return os.ReadFile(file)
}
