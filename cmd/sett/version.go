package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"
)

// version and commit are set by the linker (make build, Dockerfile). Without
// them Go's own notes in the binary tell.
var version, commit string

// versionName is the version of this binary, or the commit it was built from.
func versionName() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "development"
	}
	return info.Main.Version
}

// buildInfo is what -o json prints.
type buildInfo struct {
	Version    string `wire:"version"`
	Commit     string `wire:"commit,omitempty"`      // of git, if the binary knows it
	CommitTime string `wire:"commit_time,omitempty"` // RFC 3339
	Modified   bool   `wire:"modified,omitempty"`    // built with changes that are not in the commit
	Go         string `wire:"go"`
	OS         string `wire:"os"`
	Arch       string `wire:"arch"`
	NATSServer string `wire:"nats_server"`
	NATS       string `wire:"nats,omitempty"` // the client library
	Badger     string `wire:"badger,omitempty"`
}

// build reads what the binary knows of itself.
func build() *buildInfo {
	b := &buildInfo{
		Version: versionName(), Commit: commit, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, NATSServer: server.VERSION,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && b.Commit == "":
			b.Commit = s.Value
		case s.Key == "vcs.time":
			b.CommitTime = s.Value
		case s.Key == "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, d := range info.Deps {
		switch d.Path {
		case "github.com/nats-io/nats.go":
			b.NATS = d.Version
		case "github.com/dgraph-io/badger/v4":
			b.Badger = d.Version
		}
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version, and what it is made of; with -o json also the commit and the
version of Badger.`,
		Example: "  sett version\n  sett version -o json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			b := build()
			switch a.format {
			case asJSON:
				return a.printJSON(b)
			case asRaw:
				return a.println(b.Version)
			}
			return a.println(fmt.Sprintf("sett %s (nats-server %s, %s, %s/%s)", b.Version, b.NATSServer, b.Go, b.OS, b.Arch))
		},
	}
}
