package main

import (
	"encoding/json"
	"regexp"
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
