package codec

// Get reads one key.
type Get struct {
	Key string `wire:"key"`
}

// Entry is a key with its value, as reads return it. In a list the value is
// nil unless it was asked for.
type Entry struct {
	Key             string `wire:"key"`
	Value           []byte `wire:"value,omitempty"`
	Revision        uint64 `wire:"revision"`
	CreatedRevision uint64 `wire:"created_revision"`
	TTLMs           int64  `wire:"ttl_ms,omitempty"`
	ExpiresAtMs     int64  `wire:"expires_at_ms,omitempty"` // 0: never
}

// GetReply answers kv.get.
type GetReply struct {
	Position
	Entry
}

// List reads a page of keys in byte order.
type List struct {
	Prefix       string `wire:"prefix,omitempty"`
	After        string `wire:"after,omitempty"`  // a key: the page begins behind it
	Cursor       string `wire:"cursor,omitempty"` // Next of the page before
	Limit        int64  `wire:"limit,omitempty"`  // 0: [DefaultPage]; at most [MaxPage]
	ReturnValues bool   `wire:"return_values,omitempty"`
	Reverse      bool   `wire:"reverse,omitempty"`
	Delimiter    string `wire:"delimiter,omitempty"` // folds what follows it into Prefixes
}

// ListReply answers kv.list. All pages of one walk carry the store_revision of
// its first page.
type ListReply struct {
	Position
	Entries  []Entry  `wire:"entries"`
	Prefixes []string `wire:"prefixes,omitempty"`
	Next     string   `wire:"next,omitempty"` // "": this was the last page
}

// BatchGet reads up to [MaxKeys] keys from one snapshot.
type BatchGet struct {
	Keys []string `wire:"keys,required,max=1000"`
}

// BatchGetReply answers batch.get: the entries that exist, in request order.
type BatchGetReply struct {
	Position
	Entries []Entry `wire:"entries"`
}

// Instance is one registered instance of a service.
type Instance struct {
	Name            string            `wire:"name"`
	ID              string            `wire:"id"`
	Address         string            `wire:"address,omitempty"`
	Port            int64             `wire:"port,omitempty"`
	Tags            []string          `wire:"tags,omitempty,max=64"`
	Meta            map[string]string `wire:"meta,omitempty,max=64"`
	Status          string            `wire:"status"`
	Note            string            `wire:"note,omitempty"`
	TTLMs           int64             `wire:"ttl_ms,omitempty"`
	ExpiresAtMs     int64             `wire:"expires_at_ms,omitempty"`
	Revision        uint64            `wire:"revision"`
	CreatedRevision uint64            `wire:"created_revision"`
}

// Ways to pick among instances.
const (
	PickRandom     = "random"     // a random order for each request
	PickRendezvous = "rendezvous" // an order that pick_key decides, stable as instances come and go
)

// GetService reads the instances of one service that match every filter.
type GetService struct {
	Name     string            `wire:"name"`
	ID       string            `wire:"id,omitempty"`
	Tags     []string          `wire:"tags,omitempty,max=64"`     // all of them
	Meta     map[string]string `wire:"meta,omitempty,max=64"`     // all of them
	Statuses []string          `wire:"statuses,omitempty,max=64"` // default: passing and warning
	Pick     string            `wire:"pick,omitempty"`
	PickKey  string            `wire:"pick_key,omitempty"`
	Limit    int64             `wire:"limit,omitempty"`
	Cursor   string            `wire:"cursor,omitempty"`
}

// GetServiceReply answers svc.get; an unknown name has no instances.
type GetServiceReply struct {
	Position
	Instances []Instance `wire:"instances"`
	Next      string     `wire:"next,omitempty"`
}

// ListServices reads a page of service names in byte order.
type ListServices struct {
	Prefix string `wire:"prefix,omitempty"`
	Limit  int64  `wire:"limit,omitempty"`
	Cursor string `wire:"cursor,omitempty"`
}

// Service sums up the instances of one name.
type Service struct {
	Name  string   `wire:"name"`
	Count int64    `wire:"count"`
	Tags  []string `wire:"tags,omitempty"` // of any of its instances
}

// ListServicesReply answers svc.list.
type ListServicesReply struct {
	Position
	Services []Service `wire:"services"`
	Next     string    `wire:"next,omitempty"`
}

// Status asks how the store is.
type Status struct{}

// StatusReply answers store.status.
type StatusReply struct {
	Position
	StoreID   string     `wire:"store_id"`
	Version   string     `wire:"version"`
	Keys      int64      `wire:"keys"`
	Instances int64      `wire:"instances"`
	Bytes     int64      `wire:"bytes"` // on disk, or in memory
	Feed      FeedStatus `wire:"feed"`
	UptimeMs  int64      `wire:"uptime_ms"`
	Limits    Limits     `wire:"limits"`
	Ready     bool       `wire:"ready"`
	Reasons   []string   `wire:"reasons,omitempty"` // why it is not ready
}

// Modes of the change feed.
const (
	FeedLive    = "live"    // to whoever is subscribed
	FeedDurable = "durable" // kept by a JetStream stream
)

// FeedStatus says how far the change feed has come.
type FeedStatus struct {
	Mode            string `wire:"mode"`             // live or durable
	AckedRevision   uint64 `wire:"acked_revision"`   // announced up to here
	OutboxRevisions int64  `wire:"outbox_revisions"` // changes not yet announced
	OutboxBytes     int64  `wire:"outbox_bytes"`     // their size
	LagMs           int64  `wire:"lag_ms"`           // age of the oldest of them
}

// Validate checks the key.
func (r *Get) Validate() error { return ValidateKey(r.Key) }

// Validate checks the fields, and makes Limit [DefaultPage] where it is not
// given.
func (r *List) Validate() error {
	if r.Limit == 0 {
		r.Limit = DefaultPage
	}
	if r.After != "" && r.Cursor != "" {
		return Invalidf("after", "does not go with cursor")
	}
	return first(
		checkPrefix("prefix", r.Prefix), checkPrefix("after", r.After), checkText("cursor", r.Cursor, 0, MaxCursor),
		checkLimit(r.Limit, MaxPage), checkPrefix("delimiter", r.Delimiter),
	)
}

// Validate checks every key.
func (r *BatchGet) Validate() error {
	if len(r.Keys) == 0 {
		return Invalidf("keys", "must not be empty")
	}
	if len(r.Keys) > MaxKeys {
		return overLimit("keys", MaxKeys, "keys")
	}
	for i, key := range r.Keys {
		if e := checkKey("", key); e != nil {
			return e.Within("keys", i)
		}
	}
	return nil
}

// Validate checks the name and the filters, and fills in the default statuses
// and limit.
func (r *GetService) Validate() error {
	if r.Limit == 0 {
		r.Limit = DefaultPage
	}
	if len(r.Statuses) == 0 {
		r.Statuses = []string{Passing, Warning}
	}
	for i, status := range r.Statuses {
		if e := checkStatus("", status); e != nil {
			return e.Within("statuses", i)
		}
	}
	if r.ID != "" {
		if e := checkName("id", r.ID); e != nil {
			return e
		}
	}
	if e := r.checkPick(); e != nil {
		return e
	}
	return first(
		checkName("name", r.Name), checkTags(r.Tags), checkMeta(r.Meta),
		checkLimit(r.Limit, MaxPage), checkText("cursor", r.Cursor, 0, MaxCursor),
	)
}

func (r *GetService) checkPick() *Error {
	switch {
	case r.Pick != "" && r.Pick != PickRandom && r.Pick != PickRendezvous:
		return Invalidf("pick", "is %q, but must be random or rendezvous", r.Pick)
	case r.Pick == PickRendezvous && r.PickKey == "":
		return Invalidf("pick_key", "is required with pick rendezvous")
	case r.Pick != PickRendezvous && r.PickKey != "":
		return Invalidf("pick_key", "goes with pick rendezvous only")
	case r.Pick != "" && r.Cursor != "":
		return Invalidf("cursor", "does not go with pick")
	}
	return checkPrefix("pick_key", r.PickKey)
}

// Validate checks the prefix and the limit.
func (r *ListServices) Validate() error {
	if r.Limit == 0 {
		r.Limit = DefaultPage
	}
	return first(
		checkText("prefix", r.Prefix, 0, MaxName), checkLimit(r.Limit, MaxPage),
		checkText("cursor", r.Cursor, 0, MaxCursor),
	)
}

// Validate accepts every status request.
func (*Status) Validate() error { return nil }
