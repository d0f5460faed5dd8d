package integration

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// fewFiles is a command that runs another with so many files at most.
func fewFiles(limit int) []string {
	return []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, limit), "sh"}
}

// TestSurviveFewFiles starts a store that may open only so many files. It serves,
// or ends and tells why; it never hangs.
func TestSurviveFewFiles(t *testing.T) {
	for _, limit := range []int{8, 16, 32, 64, 127, 128, 256} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			p := launchUnder(t, fewFiles(limit), "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data"))
			if limit < 128 {
				endsForFiles(t, p)
				return
			}
			nc := p.mustBeReady().connect()
			setMany(t, nc, "a", 100)
			announcedAll(t, nc)
			p.stop()
		})
	}
}

// endsForFiles checks that a process ends by itself and tells what it lacks.
func endsForFiles(t testing.TB, p *process) {
	t.Helper()
	var exit *exec.ExitError
	if err := p.wait(); !errors.As(err, &exit) || exit.ExitCode() < 1 {
		t.Errorf("the store ended with %v", err)
	}
	if log := p.logged(); !strings.Contains(log, "ulimit -n") && !strings.Contains(log, "too many open files") {
		t.Errorf("it does not tell that it may open too few files: %s", log)
	}
}

// TestSurviveManyConnections: clients take every connection that there is. Those
// that have one write on, and the store lives.
func TestSurviveManyConnections(t *testing.T) {
	p := launchUnder(t, fewFiles(160), "--listen", "127.0.0.1:0", "--data-dir", filepath.Join(t.TempDir(), "data")).mustBeReady()
	nc := p.connect()
	setMany(t, nc, "before", 10)
	var taken []net.Conn
	defer func() {
		for _, c := range taken {
			c.Close()
		}
	}()
	address := strings.TrimPrefix(p.url, "nats://")
	for range 300 {
		c, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			break // the kernel's queue is full, too
		}
		taken = append(taken, c)
	}
	if late, err := nats.Connect(p.url, nats.Timeout(time.Second)); err == nil {
		late.Close()
		t.Fatal("there is a connection left")
	}
	value := strings.Repeat("v", 400<<10)
	for i := range 150 { // more than a memtable, so that Badger wants files
		set(t, nc, fmt.Sprint("while/", i), value)
	}
	for _, c := range taken {
		c.Close()
	}
	eventually(t, patience, func() error {
		nc, err := nats.Connect(p.url, nats.Timeout(time.Second))
		if err == nil {
			nc.Close()
		}
		return err
	})
	if n := len(revisions(t, nc, "while/")); n != 150 {
		t.Errorf("%d of 150 acknowledged writes are there", n)
	}
	p.stop()
}
