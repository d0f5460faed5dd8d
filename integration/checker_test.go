package integration

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// checkerRounds is how often something is killed.
func checkerRounds() int {
	if long {
		return 50
	}
	return 3
}

// checkerSeed is where the random choices of a checker begin: SETT_SEED repeats
// a run, as far as the machine does.
func checkerSeed(t testing.TB) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("SETT_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("SETT_SEED=%d", seed)
	return seed
}

// TestChecker kills the store, its broker, or both, again and again, while 64
// writers write and a reader follows the stream, and then proves from what all
// of them have seen that the feed is exactly the sequence of commits.
//
// # What it proves
//
// The feed is dense and ordered in one epoch, commits are whole, and each
// change says truly what was there before. Every acknowledged command is in it,
// with the revision, value and outcome that its reply told; what was refused is
// not; what nobody answered is there once or not at all. No deadline comes
// early. Applied, the feed gives what the store has. A reader that was cut off
// in each round and went on behind what it had has seen each revision, in
// order, and never two changes of one.
func TestChecker(t *testing.T) {
	c := startChecker(t)
	for round := range checkerRounds() {
		c.round(round)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	c.end()
}

// checker is one run.
type checker struct {
	t       testing.TB
	random  *rand.Rand
	broker  *broker
	store   *process
	writers *writers
	reader  *reader
	kills   map[string]int
}

func startChecker(t testing.TB) *checker {
	seed := checkerSeed(t)
	c := &checker{t: t, random: rand.New(rand.NewPCG(seed, 0)), broker: startBroker(t), kills: make(map[string]int)}
	c.store = join(t, c.broker, "--feed", "durable")
	c.reader = startReader(t, c.broker.url)
	c.writers = startWriters(t, c.broker.url, seed)
	return c
}

// somewhile is a time within a round, under load.
func (c *checker) somewhile() time.Duration {
	return 100*time.Millisecond + time.Duration(c.random.IntN(300))*time.Millisecond
}

// round lets everything run, kills, and has it come back.
func (c *checker) round(n int) {
	pause(c.t, c.somewhile())
	c.reader.cut()
	pause(c.t, c.somewhile())
	victim := []string{"store", "broker", "both"}[(n+c.random.IntN(3))%3]
	c.kills[victim]++
	switch victim {
	case "store":
		c.store.kill()
		c.writers.interrupt() // to find that nobody responds
		c.store = launch(c.t, c.store.args...).mustBeReady()
	case "broker":
		c.broker.kill()
		c.broker.start()
	case "both":
		c.broker.kill()
		if c.random.IntN(2) == 0 {
			pause(c.t, c.somewhile()/4) // the store lives on for a moment
		}
		c.store.kill()
		c.broker.start()
		c.store = launch(c.t, c.store.args...).mustBeReady()
	}
	mustTakeWrites(c.t, connect(c.t, c.broker.url))
	c.writers.interrupt() // their requests died with what was killed
}

// end stops all and proves.
func (c *checker) end() {
	c.t.Helper()
	pause(c.t, c.somewhile())
	c.writers.end()
	nc := connect(c.t, c.broker.url)
	eventually(c.t, patience, func() error {
		if n := len(contents(c.t, nc, "timed/")); n > 0 {
			return fmt.Errorf("%d keys do not expire", n)
		}
		return nil
	})
	events := wholeStream(c.t, nc)
	wantEpochs(c.t, events)
	c.reader.upTo(len(events))
	p := newProof(c.t, events)
	p.orders(c.writers.orders())
	p.reader(c.reader)
	sameState(c.t, p.replay(), contents(c.t, nc, ""))
	p.report()
	c.t.Logf("killed %v; %s; the reader was cut off %d times and got %d messages twice",
		c.kills, p, c.reader.cuts, c.reader.repeats)
	c.store.stop()
}

// rest waits a moment, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
