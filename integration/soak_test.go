package integration

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/settkv/sett/subjects"
)

// soakEnv says how long TestSoak goes on: 20m. It is skipped without.
const soakEnv = "SETT_SOAK"

const (
	soakTop    = 10 * time.Second // unpaced, to find the top rate: the second half counts
	soakSample = 10 * time.Second
	soakLeast  = time.Minute

	// soakWarm is the least time before growth counts: message ids are kept for
	// two minutes, and tables are compacted only when there are enough of them.
	soakWarm = 150 * time.Second
)

// TestSoak keeps a store for a long time at half of what it can do, with all
// that users do, over a bounded set of keys: then memory, goroutines, open
// files and the directory must stay what they are. Run it by `make soak`.
func TestSoak(t *testing.T) {
	if os.Getenv(soakEnv) == "" {
		t.Skipf("it takes as long as %s says: 20m, say", soakEnv)
	}
	span, err := time.ParseDuration(os.Getenv(soakEnv))
	if err != nil || span < soakLeast {
		t.Fatalf("%s is %q and must be a duration of at least %v", soakEnv, os.Getenv(soakEnv), soakLeast)
	}
	dir, http := t.TempDir(), freeAddress(t)
	p := serve(t, "--http-listen", http, "--feed-max-bytes", "128MiB", "--backup-dir", filepath.Join(dir, "backups"),
		"--backup-every", (span / 8).String(), "--backup-keep", "3")
	fillSoak(t, p)
	watch := &soakWatch{t: t, process: p, http: http, begin: time.Now()}
	idle := watch.settled()

	l := startSoak(t, p.url)
	rate := l.top(t)
	l.pace(rate / 2)
	t.Logf("the top rate is %.0f operations a second; %v at half of it, from %s on", rate, span, time.Now().Format(time.TimeOnly))
	watch.during(l, span)
	l.end(t)

	t.Logf("what was done:\n%s", l.tally())
	t.Logf("by the minute:\n%s", watch.table())
	watch.judge(max(span/3, soakWarm))
	watch.backTo(idle)
	p.stop()
	if told := warnings(p.logged()); told != "" {
		t.Errorf("the store had warnings:\n%s", told[:min(len(told), 4000)])
	}
}

// The records of a soak: a hundred groups of a thousand keys, counters, and
// instances of services.
const (
	soakGroups    = 100
	soakGroup     = 1000
	soakCounters  = 1000
	soakServices  = 20
	soakInstances = 50 // of a service
)

func soakPrefix() string { return fmt.Sprintf("soak/%02d/", rand.IntN(soakGroups)) }

func soakKey() string { return fmt.Sprintf("%s%03d", soakPrefix(), rand.IntN(soakGroup)) }

// soakValue has 64 to 256 bytes that do not compress.
func soakValue() []byte {
	b := make([]byte, 64+rand.IntN(193))
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

// fillSoak writes every key once.
func fillSoak(t testing.TB, p *process) {
	t.Helper()
	nc := p.connect()
	defer nc.Close()
	store, err := subjects.NewClient(nc, subjects.Options{Timeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	for group := range soakGroups {
		keys := make([]string, soakGroup)
		for i := range keys {
			keys[i] = fmt.Sprintf("soak/%02d/%03d", group, i)
		}
		if err := soakSetAll(t.Context(), store, keys); err != nil {
			t.Fatal(err)
		}
	}
	announcedAll(t, nc)
}
