package main

import (
	"context"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// listed is up to which revision a listing has shown what. What is in it is
// told; an event that is not above it is not told again.
type listed struct {
	epoch  uint64
	keys   uint64            // of the keys
	newer  map[string]uint64 // keys that a later page has shown newer than that
	all    uint64            // of the names
	byName map[string]uint64 // of their instances
}

func (l *listed) has(c *codec.Change) bool {
	switch {
	case c.Epoch != l.epoch:
		return false
	case c.Name != "":
		return c.Revision <= max(l.all, l.byName[c.Name])
	}
	return c.Key != "" && c.Revision <= max(l.keys, l.newer[c.Key])
}

// present tells what is there. The events since are waiting.
func (w *watch) present(ctx context.Context, s *session) error {
	w.shown.newer, w.shown.byName = make(map[string]uint64), make(map[string]uint64)
	if !w.services {
		if err := w.presentKeys(ctx, s); err != nil {
			return err
		}
	}
	if w.name != "" || w.watchesServices() {
		if err := w.presentServices(ctx, s); err != nil {
			return err
		}
	}
	w.epoch = w.shown.epoch
	if !w.mark {
		return nil
	}
	at := codec.Change{Op: "loaded", Revision: w.shown.keys, Epoch: w.epoch}
	if w.services {
		at.Revision = w.shown.all
	}
	if w.a.format == asJSON || w.a.format == asRaw {
		return w.a.printJSON(&at)
	}
	return w.a.println("------------- that is there at " + revision(at.Revision) + "; what changes follows")
}

func (w *watch) presentKeys(ctx context.Context, s *session) error {
	list := &codec.List{Prefix: w.prefix, ReturnValues: true}
	_, err := s.walk(0, func(limit int64) (string, int, error) {
		list.Limit = limit
		page, err := ask(ctx, s, subjects.KVList, list)
		if err != nil {
			return "", 0, err
		}
		// Every page says where the first one was.
		w.shown.epoch, w.shown.keys, list.Cursor = page.Epoch, page.StoreRevision, page.Next
		for _, e := range page.Entries {
			if e.Revision > page.StoreRevision {
				w.shown.newer[e.Key] = e.Revision
			}
			err := w.print(&codec.Change{
				Op: codec.OpSet, Key: e.Key, Value: e.Value, Revision: e.Revision, Epoch: page.Epoch,
				TTLMs: e.TTLMs, ExpiresAtMs: e.ExpiresAtMs,
			}, nil)
			if err != nil {
				return "", 0, err
			}
		}
		return page.Next, len(page.Entries), nil
	})
	return err
}

func (w *watch) presentServices(ctx context.Context, s *session) error {
	names := []string{w.name}
	if w.name == "" {
		list := &codec.ListServices{Prefix: w.prefix}
		names = nil
		_, err := s.walk(0, func(limit int64) (string, int, error) {
			list.Limit = limit
			page, err := ask(ctx, s, subjects.SvcList, list)
			if err != nil {
				return "", 0, err
			}
			for _, svc := range page.Services {
				names = append(names, svc.Name)
			}
			w.shown.epoch, w.shown.all, list.Cursor = page.Epoch, page.StoreRevision, page.Next
			return page.Next, len(page.Services), nil
		})
		if err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := w.presentOf(ctx, s, name); err != nil {
			return err
		}
	}
	return nil
}

func (w *watch) presentOf(ctx context.Context, s *session, name string) error {
	get := &codec.GetService{Name: name, Statuses: allStatuses}
	_, err := s.walk(0, func(limit int64) (string, int, error) {
		get.Limit = limit
		page, err := ask(ctx, s, subjects.SvcGet, get)
		if err != nil {
			return "", 0, err
		}
		for i := range page.Instances {
			in := &page.Instances[i]
			err := w.print(&codec.Change{
				Op: codec.OpRegister, Name: in.Name, ID: in.ID, Revision: in.Revision, Epoch: page.Epoch,
				TTLMs: in.TTLMs, ExpiresAtMs: in.ExpiresAtMs, Instance: in,
			}, nil)
			if err != nil {
				return "", 0, err
			}
		}
		w.shown.epoch, w.shown.byName[name], get.Cursor = page.Epoch, page.StoreRevision, page.Next
		return page.Next, len(page.Instances), nil
	})
	return err
}

// holds reports whether an instance is known as it was then, or later: a late
// page of a listing may show it newer than the first one.
func (w *watch) holds(c *codec.Change) bool {
	known := w.known[c.Name+"\x00"+c.ID]
	return w.list && known != nil && c.Epoch == w.shown.epoch && c.Revision <= known.Revision
}
