package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"
)

// version, commit and commitTime are set by the linker (make build, Dockerfile).
// Without them Go's own notes in the binary tell, which it has where it was
// built in a clone by plain go build.
var version, commit, commitTime string

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
		Version: versionName(), Commit: commit, CommitTime: commitTime, Modified: strings.HasSuffix(version, "-dirty"),
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, NATSServer: server.VERSION,
	}
	b.parts()
	return b
}

// parts fills in what Go noted when it built this binary.
func (b *buildInfo) parts() {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && b.Commit == "":
			b.Commit = s.Value
		case s.Key == "vcs.time" && b.CommitTime == "":
			b.CommitTime = s.Value
		case s.Key == "vcs.modified":
			b.Modified = b.Modified || s.Value == "true"
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
}

// String is the version, and what it is made of, as far as it is known.
func (b *buildInfo) String() string {
	var parts []string
	if b.Commit != "" {
		const short = 12 // characters tell one commit from another
		of := "commit " + b.Commit[:min(len(b.Commit), short)]
		if b.CommitTime != "" {
			of += " of " + b.CommitTime
		}
		parts = append(parts, of)
	}
	parts = append(parts, "nats-server "+b.NATSServer)
	if b.Badger != "" {
		parts = append(parts, "badger "+strings.TrimPrefix(b.Badger, "v"))
	}
	return fmt.Sprintf("sett %s (%s, %s, %s/%s)", b.Version, strings.Join(parts, ", "), b.Go, b.OS, b.Arch)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version, the commit that it was built from, and what it is made of;
with -o raw the version alone, with -o json all that is known.`,
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
			return a.println(b.String())
		},
	}
}
