package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// What is told about the parts is what go.mod says.
func TestVersionJSON(t *testing.T) {
	var b struct {
		Version, Go, OS, Arch, NATS, Badger string
		NATSServer                          string `json:"nats_server"`
	}
	got := sett(t, "", "version", "-o", "json")
	if err := json.Unmarshal([]byte(got.stdout), &b); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	if b.Version != "development" || b.NATSServer != server.VERSION || b.Go == "" || b.OS == "" || b.Arch == "" {
		t.Errorf("%+v", b)
	}
	for module, got := range map[string]string{"nats-io/nats.go": b.NATS, "dgraph-io/badger/v4": b.Badger} {
		if want := regexp.MustCompile(`github.com/` + module + ` (\S+)`).FindStringSubmatch(readTop(t, "go.mod"))[1]; got != want {
			t.Errorf("%s is %q, and go.mod says %s", module, got, want)
		}
	}
}

// What the linker is given is told: it ignores a name that is not there, so
// the builds are read for the names that are.
func TestVersionLinked(t *testing.T) {
	linked := map[string]*string{"version": &version, "commit": &commit, "commitTime": &commitTime}
	for name, v := range linked {
		t.Cleanup(func() { *v = "" })
		*v = map[string]string{"version": "v1.2.3-dirty", "commit": "0123456789abcdef0123", "commitTime": "2026-01-02T03:04:05Z"}[name]
	}
	for _, file := range []string{"Makefile", "Dockerfile"} {
		given := regexp.MustCompile(`-X main\.(\w+)=`).FindAllStringSubmatch(readTop(t, file), -1)
		for _, g := range given {
			if linked[g[1]] == nil {
				t.Errorf("%s gives the linker main.%s, which is not there", file, g[1])
			}
		}
		if len(given) != len(linked) {
			t.Errorf("%s gives the linker %q, want all of %d", file, given, len(linked))
		}
	}
	if b := build(); b.Version != "v1.2.3-dirty" || b.Commit != commit || b.CommitTime != commitTime || !b.Modified {
		t.Errorf("%+v", b)
	}
	want := "sett v1.2.3-dirty (commit 0123456789ab of 2026-01-02T03:04:05Z, nats-server "
	if got := sett(t, "", "version"); !strings.HasPrefix(got.stdout, want) {
		t.Errorf("%q", got.stdout)
	}
}
