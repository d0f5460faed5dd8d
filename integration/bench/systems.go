package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A system is one row: a server and how to run it.
type system struct {
	name     string // as --rows takes it
	title    string // as the tables show it
	protocol string // how the clients speak to it

	// command is the program and its arguments for a data directory and a
	// port. An error says why this machine can't run it.
	command func(b *bench, dir string, port int) ([]string, error)

	// relaxed, where given, is a command for the same data directory that
	// does not sync: a server that syncs each write takes too long to fill.
	relaxed func(b *bench, dir string, port int) ([]string, error)
}

// systems lists all rows, in the order in which they take turns.
var systems = []system{
	{name: "echo", title: "echo", protocol: "echo", command: echoCommand},
	{name: "sett-durable", title: "sett, durable feed", protocol: "sett", command: settCommand("durable")},
	{name: "sett-live", title: "sett, live feed", protocol: "sett", command: settCommand("live")},
	{name: "js-always", title: "JetStream KV, sync always", protocol: "jetstream",
		command: jetStreamCommand(true), relaxed: jetStreamCommand(false)},
	{name: "js-default", title: "JetStream KV, default sync", protocol: "jetstream", command: jetStreamCommand(false)},
	{name: "etcd", title: "etcd", protocol: "etcd", command: etcdCommand},
	{name: "redis", title: "Redis, appendfsync always", protocol: "redis", command: redisCommand},
}

func systemNamed(name string) (system, bool) {
	for _, s := range systems {
		if s.name == name {
			return s, true
		}
	}
	return system{}, false
}

func echoCommand(b *bench, _ string, port int) ([]string, error) {
	return []string{b.self, "echo-server", "--port", fmt.Sprint(port)}, nil
}

func jetStreamCommand(always bool) func(*bench, string, int) ([]string, error) {
	return func(b *bench, dir string, port int) ([]string, error) {
		return []string{b.self, "jetstream-server", "--port", fmt.Sprint(port), "--data-dir", dir,
			fmt.Sprintf("--sync-always=%t", always)}, nil
	}
}

func settCommand(feed string) func(*bench, string, int) ([]string, error) {
	return func(b *bench, dir string, port int) ([]string, error) {
		if b.settErr != nil {
			return nil, b.settErr
		}
		args := []string{b.sett, "serve", "--data-dir", dir, "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--feed", feed}
		return append(args, strings.Fields(b.settArgs)...), nil
	}
}

func etcdCommand(_ *bench, dir string, port int) ([]string, error) {
	path, err := onPath("etcd")
	if err != nil {
		return nil, err
	}
	peer, err := freePort()
	if err != nil {
		return nil, err
	}
	clientURL, peerURL := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", peer)
	return []string{path, "--data-dir", dir, "--log-level", "error",
		"--listen-client-urls", clientURL, "--advertise-client-urls", clientURL,
		"--listen-peer-urls", peerURL, "--initial-advertise-peer-urls", peerURL,
		"--initial-cluster", "default=" + peerURL}, nil
}

func redisCommand(_ *bench, dir string, port int) ([]string, error) {
	path, err := onPath("redis-server")
	if err != nil {
		return nil, err
	}
	return []string{path, "--bind", "127.0.0.1", "--port", fmt.Sprint(port), "--dir", dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", ""}, nil
}

func onPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is not on the PATH", name)
	}
	return path, nil
}

// locateSett finds the binary to measure, building it if none was given. A
// failure is kept for the rows that need it.
func (b *bench) locateSett(ctx context.Context) {
	if b.sett != "" {
		_, b.settErr = os.Stat(b.sett)
		return
	}
	b.sett = filepath.Join(b.temp, "sett")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.sett, "github.com/settkv/sett/cmd/sett")
	if output, err := build.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(output)), "\n")
		b.settErr = errors.New("cmd/sett does not build: " + lines[0])
	}
}
