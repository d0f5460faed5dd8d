package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// patience is how long anything may take that should take no time at all: the
// machine may be busy with other work.
const patience = 30 * time.Second

// long says that the tests under load shall take their time.
var long = os.Getenv("SETT_LONG") != ""

// work holds the binary; TestMain removes it.
var work string

func TestMain(m *testing.M) {
	if os.Getenv(brokerEnv) != "" {
		runBroker(os.Getenv(brokerEnv))
		return
	}
	os.Exit(run(m))
}

// run runs the tests in a clean environment: what points at a broker or
// configures sett on this machine is none of theirs.
func run(m *testing.M) int {
	for _, name := range []string{"NATS_URL", "NATS_CONTEXT", "NATS_CREDS", "NATS_USER", "NATS_PASSWORD", "NATS_TOKEN", "NATS_NKEY"} {
		os.Unsetenv(name)
	}
	var err error
	if work, err = os.MkdirTemp("", "sett-integration-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(work)
	os.Setenv("XDG_CONFIG_HOME", filepath.Join(work, "config")) // where nats contexts are
	return m.Run()
}

// The binary is built once for all tests: for servers with the race detector,
// where the tests have it, and for commands without. Dozens of those run, and
// the detector makes each take half a second longer.
var (
	buildServer  = sync.OnceValues(func() (string, error) { return build("server", raceEnabled) })
	buildCommand = sync.OnceValues(func() (string, error) { return build("command", false) })
)

func build(name string, race bool) (string, error) {
	path := filepath.Join(work, name, "sett")
	args := []string{"build", "-pgo=off", "-o", path} // as the tests are built: each package once
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "./cmd/sett")...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/sett: %w\n%s", err, out)
	}
	return path, nil
}

// serverBinary is the path of the sett that serves.
func serverBinary(t testing.TB) string { return built(t, buildServer) }

// binary is the path of the sett for commands.
func binary(t testing.TB) string { return built(t, buildCommand) }

func built(t testing.TB, build func() (string, error)) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually repeats try until it succeeds, and fails the test with its last
// error when the time is up. It is the one way to wait here where no event
// says that something has happened.
func eventually(t testing.TB, within time.Duration, try func() error) {
	t.Helper()
	if err := poll(within, try); err != nil {
		t.Fatalf("after %v: %v", within, err)
	}
}

// poll is eventually for those that do not run in the test's own goroutine.
func poll(within time.Duration, try func() error) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-deadline.C:
			return err
		}
	}
}

// within waits for a value, and fails the test when the time is up.
func within[T any](t testing.TB, limit time.Duration, what string, ch <-chan T) T {
	t.Helper()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case v := <-ch:
		return v
	case <-timer.C:
		t.Fatalf("no %s within %v", what, limit)
		panic("unreachable")
	}
}

// pause lets a load go on for a while: the one place that waits for time
// itself and for nothing to happen.
func pause(t testing.TB, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
		t.Fatal("the test was ended")
	}
}

// forShort is how long a test under load goes on: shorter by default.
func forShort(short, whenLong time.Duration) time.Duration {
	if long {
		return whenLong
	}
	return short
}

// joined joins errors but keeps only the first few: under load one cause
// makes thousands.
func joined(errs []error) error {
	const most = 5
	if len(errs) > most {
		errs = append(errs[:most:most], fmt.Errorf("and %d more", len(errs)-most))
	}
	return errors.Join(errs...)
}
