package engine

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/settkv/sett/codec"
)

// cursor is where a walk over pages stands. It travels through the client as
// an opaque string and is good for its own request only: same subject, same
// filters, same epoch.
type cursor struct {
	Epoch    uint64 `wire:"e"`
	Revision uint64 `wire:"r"`           // store_revision of the first page
	Filter   uint64 `wire:"f"`           // what the walk was asked with
	After    string `wire:"a"`           // the last key or name of the page
	Folded   bool   `wire:"p,omitempty"` // After is a common prefix, with all of its keys
}

// String is the cursor as clients carry it.
func (c *cursor) String() string {
	return base64.RawURLEncoding.EncodeToString(codec.Append(nil, codec.Msgpack, c))
}

// begin returns where a walk begins: at the cursor, or before everything.
func (s *store) begin(st *state, text string, filter uint64) (*cursor, error) {
	if text == "" {
		return &cursor{Epoch: st.counters.epoch, Revision: st.counters.revision, Filter: filter}, nil
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	c := &cursor{}
	if err == nil {
		err = codec.Decode(data, c)
	}
	switch {
	case err != nil:
		return nil, codec.Invalidf("cursor", "is none that this store made")
	case c.Filter != filter:
		return nil, codec.Invalidf("cursor", "belongs to a request with other fields; list again from the start")
	case c.Epoch != st.counters.epoch:
		return nil, codec.Invalidf("cursor", "is from epoch %d, the store is in %d; list again from the start", c.Epoch, st.counters.epoch)
	}
	return c, nil
}

// filterOf sums up the fields that all pages of a walk must share. The limit
// and the page's own place are not among them.
func filterOf(fields ...any) uint64 {
	h := fnv.New64a()
	var size [8]byte
	for _, f := range fields {
		text := fmt.Sprintf("%q", f)
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		h.Write(size[:])
		h.Write([]byte(text))
	}
	return h.Sum64()
}

func listFilter(r *codec.List) uint64 {
	return filterOf("kv.list", r.Prefix, r.ReturnValues, r.Reverse, r.Delimiter)
}

func serviceFilter(r *codec.GetService) uint64 {
	return filterOf("svc.get", r.Name, r.ID, r.Tags, r.Meta, r.Statuses)
}

func servicesFilter(r *codec.ListServices) uint64 { return filterOf("svc.list", r.Prefix) }
