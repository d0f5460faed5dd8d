package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/settkv/sett/codec"
)

// The plain methods of [Engine] are commands and reads like all others.

// Get implements [KV].
func (s *store) Get(key string) ([]byte, error) {
	r := &codec.Get{Key: key}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	reply, err := s.ReadKey(r)
	if err != nil {
		return nil, err
	}
	return append([]byte{}, reply.Value...), nil
}

// Set implements [KV].
func (s *store) Set(key string, value []byte) error {
	return s.do(&codec.Set{Key: key, Value: append([]byte{}, value...)})
}

// Delete implements [KV].
func (s *store) Delete(key string) error { return s.do(&codec.Delete{Key: key}) }

// List implements [KV].
func (s *store) List(prefix string) ([]string, error) {
	keys := []string{}
	r := &codec.List{Prefix: prefix, Limit: codec.MaxPage}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	for {
		page, err := s.ListKeys(r, codec.Fit{})
		if err != nil {
			return nil, err
		}
		for i := range page.Entries {
			keys = append(keys, page.Entries[i].Key)
		}
		if page.Next == "" {
			return keys, nil
		}
		r.Cursor = page.Next
	}
}

// GetService implements [Services].
func (s *store) GetService(name string) ([]byte, error) {
	if err := codec.ValidateName(name); err != nil {
		return nil, err
	}
	path := instancePath(name, name)
	var data []byte
	err := s.look(func(st *state, now int64) (bool, error) {
		found, ok := st.index.Get(path)
		if !ok || found.rec.dead(now) {
			return ok, notFound(path)
		}
		data = append([]byte{}, found.rec.life.instance.Data...)
		return false, nil
	})
	return data, err
}

// SetService implements [Services].
func (s *store) SetService(name string, data []byte, ttl time.Duration) error {
	return s.do(&setService{
		Register: codec.Register{Name: name, ID: name, TTLMs: codec.Millis(ttl)},
		data:     append([]byte{}, data...),
	})
}

// Validate checks the data's size beside the rules of an instance.
func (c *setService) Validate() error {
	if len(c.data) > codec.MaxValue {
		return codec.Errorf(codec.TooLarge, "data: over the limit of %d bytes", codec.MaxValue)
	}
	return c.Register.Validate()
}

// DeleteService implements [Services].
func (s *store) DeleteService(name string) error {
	if err := codec.ValidateName(name); err != nil {
		return err
	}
	for {
		reply, err := s.submit(context.Background(), &removeService{codec.Deregister{Name: name}})
		if err != nil || !reply.(*codec.DeregisterReply).Deregistered {
			return err
		}
	}
}

// ListServices implements [Services].
func (s *store) ListServices() ([]string, error) {
	names := []string{}
	r := &codec.ListServices{Limit: codec.MaxPage}
	for {
		page, err := s.ReadServices(r, codec.Fit{})
		if err != nil {
			return nil, err
		}
		for i := range page.Services {
			names = append(names, page.Services[i].Name)
		}
		if page.Next == "" {
			return names, nil
		}
		r.Cursor = page.Next
	}
}

// BatchSet implements [Batches].
func (s *store) BatchSet(items map[string][]byte) error {
	batch := &codec.Batch{}
	for _, key := range slices.Sorted(maps.Keys(items)) {
		batch.Ops = append(batch.Ops, &codec.Set{Key: key, Value: append([]byte{}, items[key]...)})
	}
	return s.batchOf(batch)
}

// BatchDelete implements [Batches].
func (s *store) BatchDelete(keys []string) error {
	batch := &codec.Batch{}
	for _, key := range keys {
		batch.Ops = append(batch.Ops, &codec.Delete{Key: key})
	}
	return s.batchOf(batch)
}

func (s *store) batchOf(batch *codec.Batch) error {
	if len(batch.Ops) == 0 {
		return nil
	}
	return s.do(batch)
}

func (s *store) do(cmd codec.Command) error {
	_, err := s.Apply(context.Background(), cmd)
	return err
}
