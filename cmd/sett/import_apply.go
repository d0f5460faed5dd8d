package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nuid"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// importPatience is how long an import that has begun waits for a store that
// is away: it may be restarting. It is well below [codec.DedupWindow], within
// which a command that is repeated is applied once.
const importPatience = time.Minute

// importer applies records in batches. Each batch is durable before the next
// one is sent.
type importer struct {
	a      *app
	s      *session // nil with dryRun
	create bool     // only what is not there
	dryRun bool
	report importReport

	ops     []codec.Command
	places  []int64         // the lines of the ops
	keys    map[string]bool // of the ops, with create
	size    int             // of the batch as it travels
	scratch []byte
	begun   bool // something is applied
}

// What a batch takes beside its ops, and an op beside its own fields: heads,
// "ops", and "op" with its name.
const (
	batchHead = 16
	opHead    = 8
)

// add takes the record of a line into the batch, and first applies what is
// there if that has no room for it. applied says that it did.
func (im *importer) add(ctx context.Context, op codec.Command, place int64) (applied bool, err error) {
	im.scratch = codec.Append(im.scratch[:0], codec.Msgpack, op)
	size := len(im.scratch) + len(op.Op()) + opHead
	name := nameOf(op)
	if len(im.ops) == codec.MaxOps || batchHead+im.size+size > codec.MaxBatch || im.keys[name] {
		if err := im.flush(ctx); err != nil {
			return false, err
		}
		applied = true
	}
	if im.create {
		im.only(op)
		if im.keys == nil {
			im.keys = make(map[string]bool)
		}
		im.keys[name] = true
	}
	im.ops, im.places, im.size = append(im.ops, op), append(im.places, place), im.size+size
	return applied, nil
}

// nameOf tells records apart.
func nameOf(op codec.Command) string {
	if r, ok := op.(*codec.Register); ok {
		return r.Name + "\x00" + r.ID // which no key has
	}
	return op.(*codec.Set).Key
}

// only makes a command one for what is not there.
func (im *importer) only(op codec.Command) {
	switch c := op.(type) {
	case *codec.Set:
		c.IfRevision = codec.Revision(0)
	case *codec.Register:
		c.IfRevision = codec.Revision(0)
	}
}

// flush applies what was added.
func (im *importer) flush(ctx context.Context) error {
	if len(im.ops) == 0 {
		return nil
	}
	if err := im.apply(ctx); err != nil {
		return err
	}
	im.begun = true
	clear(im.ops) // or a shorter batch would keep the values of a longer one
	clear(im.keys)
	im.ops, im.places, im.size = im.ops[:0], im.places[:0], 0
	return nil
}

func (im *importer) apply(ctx context.Context) error {
	if !im.dryRun {
		_, err := insist(ctx, im, subjects.BatchApply, &codec.Batch{Ops: im.ops})
		if im.create && errors.Is(err, codec.ErrConflict) {
			return im.oneByOne(ctx)
		}
		if err != nil {
			return im.located(err)
		}
	}
	for _, op := range im.ops {
		im.report.count(op)
	}
	return nil
}

// located says which record of the batch was refused, if the store says so.
func (im *importer) located(err error) error {
	refusal, ok := errors.AsType[*codec.Error](err)
	if !ok || refusal.Index == nil || *refusal.Index >= int64(len(im.ops)) {
		return err
	}
	return &refusedRecord{place: im.places[*refusal.Index], op: im.ops[*refusal.Index], err: err}
}

// refusedRecord is a refusal of the store with the record that it is about.
type refusedRecord struct {
	place int64
	op    codec.Command
	err   error
}

func (e *refusedRecord) Error() string {
	return fmt.Sprintf("%s: %v", strings.ReplaceAll(nameOf(e.op), "\x00", " "), e.err)
}

func (e *refusedRecord) Unwrap() error { return e.err }

// mostTold is how many records are named that are there already.
const mostTold = 10

// atOnce is how many records are on the way when they go one by one.
const atOnce = 64

// oneByOne applies a batch of which some is there already: each record by
// itself, which the store groups again.
func (im *importer) oneByOne(ctx context.Context) error {
	results := make([]error, len(im.ops))
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, op := range im.ops {
		slots <- struct{}{}
		all.Go(func() {
			results[i] = im.one(ctx, op)
			<-slots
		})
	}
	all.Wait()
	for i, err := range results {
		if err != nil && !errors.Is(err, codec.ErrConflict) {
			return &refusedRecord{place: im.places[i], op: im.ops[i], err: err}
		}
	}
	for i, op := range im.ops {
		if results[i] != nil {
			if im.report.Conflicts++; im.report.Conflicts <= mostTold {
				im.a.note("%s is there already", strings.ReplaceAll(nameOf(op), "\x00", " "))
			}
			continue
		}
		im.report.count(op)
	}
	return nil
}

func (im *importer) one(ctx context.Context, op codec.Command) (err error) {
	switch c := op.(type) {
	case *codec.Set:
		_, err = insist(ctx, im, subjects.KVSet, c)
	case *codec.Register:
		_, err = insist(ctx, im, subjects.SvcRegister, c)
	}
	return err
}

// insist asks until the store answers for good, always with the same message
// id. Before anything is applied it asks as other commands do: a store that is
// not there is told at once.
func insist[Req, Resp any](ctx context.Context, im *importer, e subjects.Endpoint[Req, Resp], req *Req) (*Resp, error) {
	id := subjects.MsgID(nuid.Next())
	until := time.Now().Add(importPatience)
	for {
		resp, err := ask(ctx, im.s, e, req, id)
		refusal, ok := errors.AsType[*codec.Error](err)
		if !ok || !refusal.Temporary && refusal.Code != codec.Timeout || !im.begun || time.Now().After(until) {
			return resp, err
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
}
