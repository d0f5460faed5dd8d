package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"time"
)

// requestTimeout bounds every request of every protocol. It is far above any
// latency worth measuring: a request that reaches it fails the row.
const requestTimeout = 10 * time.Second

// An operation is one request and its reply. It returns the moment at which
// it was done, and an error for any reply that is not a success.
type operation func() (time.Time, error)

// A client holds the connections of the load generator to one server.
type client interface {
	// probe asks something cheap; nil means that the server answers.
	probe() error
	// operation prepares what one user repeats. Each user calls its own.
	operation(user int, do action, w *workload) (operation, error)
	// fill writes keys with new values, as fast as the protocol allows.
	fill(user int, keys []int, w *workload) error
	close()
}

// dial connects to a server of a protocol.
func dial(protocol, address string, conns int) (client, error) {
	switch protocol {
	case "echo":
		return newNATSClient(address, conns, announcedSet)
	case "sett":
		return newNATSClient(address, conns, "kv.set")
	case "jetstream":
		return newJetStreamClient(address, conns)
	case "etcd":
		return newEtcdClient(address, conns)
	case "redis":
		return newRedisClient(address, conns)
	}
	return nil, fmt.Errorf("no protocol %q", protocol)
}

// A loadSpec is what one run of the load generator does.
type loadSpec struct {
	Protocol string
	Address  string
	Action   action
	Clients  int
	WarmUp   time.Duration
	Measure  time.Duration
	Keys     int // how many there are
	Digits   int // of their numbers

	// For actFill and actRegister: keys or instances First to First+Count-1,
	// each written Times times. Other actions about many take Count of them.
	First, Count, Times int

	cpuProfile string
}

// flags declares the flags of "bench load"; args is their inverse.
func (s *loadSpec) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.Protocol, "protocol", "echo", "echo, sett, jetstream, etcd or redis")
	fs.StringVar(&s.Address, "address", "127.0.0.1:4222", "host:port of the server")
	fs.StringVar((*string)(&s.Action), "action", "set", "set, get, batch, list, event, heartbeat, expiry, instances, fill or register")
	fs.IntVar(&s.Clients, "clients", 64, "how many requests wait for their replies at a time")
	fs.DurationVar(&s.WarmUp, "warm-up", 300*time.Millisecond, "time before the measurement")
	fs.DurationVar(&s.Measure, "measure", time.Second, "time of the measurement")
	fs.IntVar(&s.Keys, "keys", keyCount, "how many keys there are, at least 100")
	fs.IntVar(&s.Digits, "digits", keyDigits, "digits of a key's number")
	fs.IntVar(&s.First, "first", 1, "fill, register: number of the first key or instance")
	fs.IntVar(&s.Count, "count", keyCount, "how many keys or instances: to fill, to expire, to keep alive")
	fs.IntVar(&s.Times, "times", 1, "fill: how often each key is written")
	fs.StringVar(&s.cpuProfile, "cpuprofile", "", "write a CPU profile of the load generator to this file")
}

func (s *loadSpec) args() []string {
	return []string{
		"load", "--protocol", s.Protocol, "--address", s.Address, "--action", string(s.Action),
		"--clients", fmt.Sprint(s.Clients), "--warm-up", s.WarmUp.String(), "--measure", s.Measure.String(),
		"--keys", fmt.Sprint(s.Keys), "--digits", fmt.Sprint(s.Digits),
		"--first", fmt.Sprint(s.First), "--count", fmt.Sprint(s.Count), "--times", fmt.Sprint(s.Times),
	}
}

// fills tells whether each key or instance is written so often and no more.
func (s *loadSpec) fills() bool { return s.Action == actFill || s.Action == actRegister }

// A loadResult is what the load generator prints, as JSON.
type loadResult struct {
	Rate  float64 `json:"rate"`   // operations a second within the measured time
	Total uint64  `json:"total"`  // operations, the warm-up included
	P50us float64 `json:"p50_us"` // latency in microseconds
	P99us float64 `json:"p99_us"`
}

// runLoad is "bench load": one measurement of one server.
func runLoad(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var spec loadSpec
	fs := flag.NewFlagSet("bench load", flag.ContinueOnError)
	fs.SetOutput(stderr)
	spec.flags(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	// The generator allocates little but has a tiny heap, so that the default
	// would collect all the time, at the cost of the servers' two cores.
	debug.SetGCPercent(800)
	if spec.cpuProfile != "" {
		file, err := os.Create(spec.cpuProfile)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	c, err := dial(spec.Protocol, spec.Address, min(connections, spec.Clients))
	if err != nil {
		return fmt.Errorf("connect to %s at %s: %w", spec.Protocol, spec.Address, err)
	}
	defer c.close()
	var result any
	switch spec.Action {
	case actExpiry:
		result, err = spec.expiry(ctx, c)
	case actInstances:
		result, err = spec.keepAlive(ctx, c)
	default:
		result, err = spec.execute(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("%s, %s: %w", spec.Protocol, spec.Action, err)
	}
	return json.NewEncoder(stdout).Encode(result)
}

// execute runs all users until the time is over or one of them fails.
func (s *loadSpec) execute(ctx context.Context, c client) (loadResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pool := newRandomPool()
	users := make([]*user, s.Clients)
	for i := range users {
		users[i] = &user{number: i, client: c, spec: s, work: newWorkload(i, s.Keys, s.Digits, pool)}
		if err := users[i].prepare(); err != nil {
			return loadResult{}, err
		}
	}
	begin := time.Now().Add(s.WarmUp)
	var wait sync.WaitGroup
	for _, u := range users {
		wait.Go(func() {
			if err := u.run(ctx, begin); err != nil {
				cancel(err)
			}
		})
	}
	wait.Wait()
	if err := context.Cause(ctx); err != nil {
		return loadResult{}, err
	}
	return s.summary(users), nil
}

// summary adds up what the users did. A rate of nothing is no error: on a busy
// machine a short round may pass without a reply, and a request that never gets
// one fails by its time-out.
func (s *loadSpec) summary(users []*user) loadResult {
	var all histogram
	var total uint64
	for _, u := range users {
		all.add(&u.latency)
		total += u.total
	}
	if s.fills() {
		return loadResult{Total: total}
	}
	return loadResult{
		Rate:  float64(all.count) / s.Measure.Seconds(),
		Total: total,
		P50us: float64(all.percentile(0.50)) / 1e3,
		P99us: float64(all.percentile(0.99)) / 1e3,
	}
}

// A user is one of the concurrent clients: it waits for each reply before it
// sends the next request.
type user struct {
	number  int
	client  client
	spec    *loadSpec
	work    *workload
	op      operation
	latency histogram
	total   uint64
}

func (u *user) prepare() (err error) {
	if u.work.instances = u.spec.Action == actRegister; !u.spec.fills() {
		u.op, err = u.client.operation(u.number, u.spec.Action, u.work)
	}
	return err
}

func (u *user) run(ctx context.Context, begin time.Time) error {
	if u.spec.fills() {
		return u.fill(ctx)
	}
	end := begin.Add(u.spec.Measure)
	for {
		start := time.Now()
		if start.After(end) || ctx.Err() != nil {
			return nil
		}
		done, err := u.op()
		if err != nil {
			return err
		}
		u.total++
		if done.After(begin) && !done.After(end) {
			u.latency.record(done.Sub(start))
		}
	}
}

// fill writes this user's share of the keys, in batches dealt out in turn.
func (u *user) fill(ctx context.Context) error {
	s := u.spec
	keys := make([]int, 0, batchSize)
	for range s.Times {
		for at := u.number * batchSize; at < s.Count; at += s.Clients * batchSize {
			keys = keys[:0]
			for i := at; i < min(at+batchSize, s.Count); i++ {
				keys = append(keys, s.First+i)
			}
			if ctx.Err() != nil {
				return nil
			}
			if err := u.client.fill(u.number, keys, u.work); err != nil {
				return err
			}
			u.total += uint64(len(keys))
		}
	}
	return nil
}
