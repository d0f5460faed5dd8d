package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/settkv/sett/codec"
)

// exportFormat is the version of the lines below. A reader takes no other.
const exportFormat = 1

// exportHeader is the first line of an export.
type exportHeader struct {
	Format        int64  `wire:"sett_export,required"`
	StoreID       string `wire:"store_id,omitempty"` // unknown to who may not read store.status
	StoreRevision uint64 `wire:"store_revision"`
	Epoch         uint64 `wire:"epoch"`
	Prefix        string `wire:"prefix"`
}

// exportEnd is the last line: a file without it is cut off.
type exportEnd struct {
	Format    int64 `wire:"sett_export_end,required"`
	Keys      int64 `wire:"keys"`
	Instances int64 `wire:"instances"`
}

// keyLine is a key: a kv.set but for the deadline, and the revisions, which
// are for people.
type keyLine struct {
	Key             string `wire:"key"`
	Value           []byte `wire:"value,required"`
	TTLMs           int64  `wire:"ttl_ms,omitempty"`
	ExpiresAtMs     int64  `wire:"expires_at_ms,omitempty"`
	Revision        uint64 `wire:"revision,omitempty"`
	CreatedRevision uint64 `wire:"created_revision,omitempty"`
}

// instanceLine is an instance of a service: a svc.register but for the
// deadline and the revisions.
type instanceLine struct {
	Name            string            `wire:"name"`
	ID              string            `wire:"id,omitempty"`
	Address         string            `wire:"address,omitempty"`
	Port            int64             `wire:"port,omitempty"`
	Tags            []string          `wire:"tags,omitempty,max=64"`
	Meta            map[string]string `wire:"meta,omitempty,max=64"`
	Status          string            `wire:"status,omitempty"`
	Note            string            `wire:"note,omitempty"`
	TTLMs           int64             `wire:"ttl_ms,omitempty"`
	ExpiresAtMs     int64             `wire:"expires_at_ms,omitempty"`
	Revision        uint64            `wire:"revision,omitempty"`
	CreatedRevision uint64            `wire:"created_revision,omitempty"`
}

// lineOfKey is the line of an entry, without revisions unless they are asked
// for: two exports of the same contents are the same.
func lineOfKey(e *codec.Entry, revisions bool) *keyLine {
	line := &keyLine{Key: e.Key, Value: e.Value, TTLMs: e.TTLMs, ExpiresAtMs: e.ExpiresAtMs}
	if revisions {
		line.Revision, line.CreatedRevision = e.Revision, e.CreatedRevision
	}
	return line
}

func lineOfInstance(i *codec.Instance, revisions bool) *instanceLine {
	line := instanceLine(*i)
	if !revisions {
		line.Revision, line.CreatedRevision = 0, 0
	}
	return &line
}

// exportLine is a line that was read: a header, an end, or a record as the
// command that stores it.
type exportLine struct {
	header      *exportHeader
	end         *exportEnd
	op          codec.Command // *codec.Set or *codec.Register, with the line's ttl_ms
	expiresAtMs int64         // of the record, 0: never
}

// lineKind has the fields that tell what a line is.
type lineKind struct {
	Header *int64  `wire:"sett_export,omitempty"`
	End    *int64  `wire:"sett_export_end,omitempty"`
	Key    *string `wire:"key,omitempty"`
	Name   *string `wire:"name,omitempty"`
	Base64 *bool   `wire:"base64,omitempty"` // of a request; none of a line
}

// readExportLine reads a line that is neither empty nor a comment. It is as
// strict as the store is with requests, and checks all that needs no clock.
func readExportLine(text []byte) (*exportLine, error) {
	if text[0] != '{' {
		return nil, errors.New(`is no JSON object, such as {"key":"config/host","value":"10.0.0.1"}`)
	}
	var kind lineKind
	if err := codec.Decode(text, &kind); err != nil {
		return nil, err
	}
	switch {
	case kind.Base64 != nil:
		return nil, errors.New("base64: is not a field of an export; value_base64 is")
	case kind.Header != nil:
		line := &exportLine{header: &exportHeader{}}
		return line, readFormat(*kind.Header, text, line.header)
	case kind.End != nil:
		line := &exportLine{end: &exportEnd{}}
		return line, readFormat(*kind.End, text, line.end)
	case kind.Key != nil:
		return readKeyLine(text)
	case kind.Name != nil:
		return readInstanceLine(text)
	}
	return nil, errors.New("has neither a key nor the name of a service")
}

func readFormat(format int64, text []byte, into any) error {
	if format != exportFormat {
		return fmt.Errorf("was written by another version of sett (format %d; this one reads %d)", format, exportFormat)
	}
	_, err := codec.DecodeRequest(text, into)
	return err
}

func readKeyLine(text []byte) (*exportLine, error) {
	var l keyLine
	if _, err := codec.DecodeRequest(text, &l); err != nil {
		return nil, err
	}
	op := &codec.Set{Key: l.Key, Value: l.Value, TTLMs: l.TTLMs}
	return &exportLine{op: op, expiresAtMs: l.ExpiresAtMs}, checkRecord(op, l.ExpiresAtMs)
}

func readInstanceLine(text []byte) (*exportLine, error) {
	var l instanceLine
	if _, err := codec.DecodeRequest(text, &l); err != nil {
		return nil, err
	}
	op := &codec.Register{
		Name: l.Name, ID: l.ID, Address: l.Address, Port: l.Port, Tags: l.Tags, Meta: l.Meta,
		TTLMs: l.TTLMs, Status: l.Status, Note: l.Note,
	}
	return &exportLine{op: op, expiresAtMs: l.ExpiresAtMs}, checkRecord(op, l.ExpiresAtMs)
}

func checkRecord(op codec.Command, expiresAtMs int64) error {
	if expiresAtMs < 0 {
		return errors.New("expires_at_ms: must not be negative")
	}
	return op.Validate()
}

// due gives the record its TTL as of now: a key the rest of its time, or with
// fresh all of it. An instance always gets its whole TTL, as after a restart
// of the store: that is how often its owner renews it. False says that its
// time is over.
func (l *exportLine) due(now time.Time, fresh bool) (bool, error) {
	ttl, instance := l.ttl()
	if l.expiresAtMs == 0 || fresh && *ttl != 0 {
		return true, nil
	}
	left := l.expiresAtMs - now.UnixMilli()
	switch {
	case left < codec.MinTTL.Milliseconds(): // it would be gone on arrival
		return false, nil
	case left > codec.MaxTTL.Milliseconds():
		return false, fmt.Errorf("expires_at_ms: is more than %d days away", codec.MaxTTL/(24*time.Hour))
	case !instance || *ttl == 0:
		*ttl = left
	}
	return true, nil
}

// ttl is where the record's command has its TTL, and whether it is that of an
// instance.
func (l *exportLine) ttl() (ms *int64, instance bool) {
	if op, ok := l.op.(*codec.Register); ok {
		return &op.TTLMs, true
	}
	return &l.op.(*codec.Set).TTLMs, false
}
