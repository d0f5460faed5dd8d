package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// A member is a system that runs.
type member struct {
	system
	*process
	address string
}

// A fleet is the systems of one scenario, all running; they take turns.
type fleet struct {
	members []*member
	missing []result // the rows that could not be started, and why
}

// startFleet starts each system of a scenario with an own empty directory, and
// fills it if the scenario wants that.
func (b *bench) startFleet(ctx context.Context, sc scenario) (*fleet, error) {
	f := &fleet{}
	for _, name := range sc.rows {
		s, _ := systemNamed(name)
		if !b.wants(name) {
			continue
		}
		reason := sc.absent[name]
		if reason == "" {
			m, err := b.startFilled(ctx, s, sc.fill)
			if err == nil {
				f.members = append(f.members, m)
				continue
			}
			if ctx.Err() != nil {
				f.stop()
				return nil, ctx.Err()
			}
			reason = b.reason(err)
		}
		f.missing = append(f.missing, result{Scenario: sc.name, Row: s.name, Title: s.title, NotMeasured: reason})
	}
	return f, nil
}

// unavailable is why a system can't run on this machine; that is no failure.
type unavailable struct{ error }

// reason is what a row says that has no figures. Anything but a system that is
// not there makes the whole run fail at its end.
func (b *bench) reason(err error) string {
	if _, ok := errors.AsType[unavailable](err); ok {
		return err.Error()
	}
	b.failed = append(b.failed, err.Error())
	return "FAILED: " + err.Error()
}

// stop ends all members. One that had to be killed is reported as an error,
// since a server that does not stop may also not have done its work.
func (f *fleet) stop() (err error) {
	for _, m := range f.members {
		if e := m.process.stop(); e != nil {
			err = e
		}
	}
	return err
}

func (b *bench) startFilled(ctx context.Context, s system, fill bool) (*member, error) {
	dir, err := os.MkdirTemp(b.temp, s.name+"-")
	if err != nil {
		return nil, err
	}
	if fill && s.relaxed != nil {
		quick := s
		quick.command = s.relaxed
		m, _, err := b.startMember(ctx, quick, dir)
		if err != nil {
			return nil, err
		}
		err = b.fill(ctx, m, 1, keyCount, 1)
		if stopErr := m.process.stop(); err == nil {
			err = stopErr
		}
		if err != nil {
			return nil, err
		}
		fill = false
	}
	m, _, err := b.startMember(ctx, s, dir)
	if err == nil && fill && s.protocol != "echo" { // which keeps nothing
		if err = b.fill(ctx, m, 1, keyCount, 1); err != nil {
			m.process.stop()
		}
	}
	return m, err
}

// startMember starts a system in a directory and waits until it answers; the
// duration is how long that took.
func (b *bench) startMember(ctx context.Context, s system, dir string) (*member, time.Duration, error) {
	port, err := freePort()
	if err != nil {
		return nil, 0, err
	}
	command, err := s.command(b, dir, port)
	if err != nil {
		return nil, 0, unavailable{err}
	}
	p, err := start(ctx, command[0], command[1:]...)
	if err != nil {
		return nil, 0, err
	}
	m := &member{system: s, process: p, address: fmt.Sprintf("127.0.0.1:%d", port)}
	took, err := p.awaitReady(ctx, func() error { return probe(s.protocol, m.address) })
	if err == nil {
		err = prepare(s.protocol, m.address)
	}
	if err != nil {
		p.stop()
		return nil, 0, fmt.Errorf("%s: %w", s.name, err)
	}
	return m, took, nil
}

func probe(protocol, address string) error {
	c, err := dial(protocol, address, 1)
	if err != nil {
		return err
	}
	defer c.close()
	return c.probe()
}

// prepare creates what a protocol needs before its first key.
func prepare(protocol, address string) error {
	if protocol != "jetstream" {
		return nil
	}
	return createBucket(address)
}

// fillClients is how many clients fill a server.
const fillClients = 32

// fill writes keys outside of any measurement.
func (b *bench) fill(ctx context.Context, m *member, first, count, times int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	_, err := b.load(ctx, m, loadSpec{Action: actFill, Clients: fillClients, First: first, Count: count, Times: times})
	m.settle(ctx, settleLimit)
	return err
}

// settleLimit bounds the wait for a server that has work left.
const settleLimit = 10 * time.Second

// turn is one round of one row.
func (b *bench) turn(ctx context.Context, m *member, do action, clients int) (sample, error) {
	spec := loadSpec{Action: do, Clients: clients, WarmUp: b.warmUp, Measure: b.measure}
	ctx, cancel := context.WithTimeout(ctx, b.warmUp+b.measure+3*requestTimeout)
	defer cancel()
	before, _ := m.cpuTime()
	totalBefore, busyBefore, _ := machineTime()
	s, err := b.load(ctx, m, spec)
	if err != nil {
		if died := m.failure(); died != nil {
			err = fmt.Errorf("%w\n%w", err, died)
		}
		return s, err
	}
	total, busy, _ := machineTime()
	if after, err := m.cpuTime(); err == nil {
		clients := time.Duration(s.ClientUs * float64(s.Total) * 1e3)
		s.Others = othersShare(totalBefore, busyBefore, total, busy, after-before+clients)
	}
	s.Settle = m.settle(ctx, settleLimit)
	// What the server did after the last reply was caused by the load too.
	if after, err := m.cpuTime(); err == nil && s.Total > 0 {
		s.ServerUs = float64((after - before).Microseconds()) / float64(s.Total)
	}
	return s, nil
}

// load runs the load generator as a process of its own.
func (b *bench) load(ctx context.Context, m *member, spec loadSpec) (s sample, err error) {
	used, err := b.generate(ctx, m, spec, &s.loadResult)
	if err == nil && s.Total > 0 {
		s.ClientUs = float64(used.Microseconds()) / float64(s.Total)
	}
	return s, err
}

// generate runs the load generator, reads what it prints into result, and
// returns the processor time that it used.
func (b *bench) generate(ctx context.Context, m *member, spec loadSpec, result any) (time.Duration, error) {
	spec.Protocol, spec.Address = m.protocol, m.address
	if spec.Keys == 0 {
		spec.Keys, spec.Digits = keyCount, keyDigits
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, b.self, spec.args()...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return 0, fmt.Errorf("%s: load generator, %w: %s", m.name, err, bytes.TrimSpace(stderr.Bytes()))
	}
	if err := json.Unmarshal(stdout.Bytes(), result); err != nil {
		return 0, fmt.Errorf("%s: load generator: %w", m.name, err)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
