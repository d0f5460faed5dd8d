package main

import (
	"testing"

	"github.com/spf13/pflag"
)

// What is offered as the value of a flag is taken.
func TestChoices(t *testing.T) {
	for name, values := range choices {
		found := false
		for _, value := range values {
			f := &serveFlags{}
			fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
			f.add(fs)
			if fs.Lookup(name) == nil {
				continue // of a request: the verbs' tests ask with these
			}
			found = true
			if err := fs.Set(name, value); err != nil {
				t.Errorf("--%s %s: %v", name, value, err)
			}
			if err := f.validate(); err != nil {
				t.Errorf("--%s %s: %v", name, value, err)
			}
			if _, err := newLogger(t.Output(), f.logLevel, f.logFormat); err != nil {
				t.Errorf("--%s %s: %v", name, value, err)
			}
		}
		if !found && usageOf("svc.get", name) == "" {
			t.Errorf("no command has --%s", name)
		}
	}
}
