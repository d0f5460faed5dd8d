package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// A machine is what the figures depend on.
type machine struct {
	Cores      int      `json:"cores"`
	Processor  string   `json:"processor"`
	OS         string   `json:"os"`
	Arch       string   `json:"arch"`
	Go         string   `json:"go"`
	FileSystem string   `json:"file_system"`
	Temp       string   `json:"temp"`
	Servers    []string `json:"servers"`
	SettArgs   string   `json:"sett_args,omitempty"`
}

func describeMachine(ctx context.Context, b *bench) machine {
	m := machine{
		Cores: runtime.NumCPU(), Processor: processor(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Go: runtime.Version(), FileSystem: fileSystem(b.temp), Temp: b.temp, SettArgs: b.settArgs,
		Servers: []string{serverVersion()},
	}
	for _, command := range [][]string{{b.sett, "version"}, {"etcd", "--version"}, {"redis-server", "--version"}} {
		if version := versionOf(ctx, command); version != "" {
			m.Servers = append(m.Servers, version)
		}
	}
	return m
}

// versionOf is the first line that a program prints about itself, shortened.
func versionOf(ctx context.Context, command []string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	output, err := exec.CommandContext(ctx, command[0], command[1:]...).Output()
	if err != nil {
		return ""
	}
	line := firstLine(string(output))
	line, _, _ = strings.Cut(line, " sha=")
	return strings.TrimSpace(line)
}

func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, ok := strings.CutPrefix(line, "model name"); ok {
			return strings.Trim(name, " \t:\n")
		}
	}
	return "unknown processor"
}

// fileSystem names the type of the file system that holds a directory: the
// mount with the longest path that leads there.
func fileSystem(dir string) string {
	mounts, _ := os.ReadFile("/proc/mounts")
	best, kind := "", "unknown file system"
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || len(fields[1]) < len(best) {
			continue
		}
		if at := strings.TrimSuffix(fields[1], "/"); strings.HasPrefix(dir+"/", at+"/") {
			best, kind = fields[1], fields[2]
		}
	}
	return kind
}

// repeat is the command that measures one table again.
func (b *bench) repeat(sc scenario, clients int) string {
	name := sc.name
	if name == scenarioAgain {
		name = scenarioList
	}
	command := fmt.Sprintf("go run ./integration/bench --scenario %s", name)
	if clients > 0 {
		command += fmt.Sprintf(" --clients %d", clients)
	}
	command += fmt.Sprintf(" --rounds %d --seconds %g", b.rounds, b.measure.Seconds())
	if sc.name == scenarioLarge {
		command += fmt.Sprintf(" --large-keys %d", b.largeKeys)
	}
	if len(b.rows) > 0 {
		command += " --rows " + strings.Join(b.rows, ",")
	}
	if b.settGiven {
		command += " --sett " + b.sett
	}
	if b.settArgs != "" {
		command += fmt.Sprintf(" --sett-args %q", b.settArgs)
	}
	return command
}
