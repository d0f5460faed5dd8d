package codec

import (
	"maps"
	"net"
	"slices"
	"strconv"
)

// Command is one write: a *[Set], *[Delete], *[Touch], *[Increment], *[Clear],
// *[Register], *[Heartbeat], *[Deregister] or *[Batch].
type Command interface {
	// Op is the command's subject without prefix: "kv.set".
	Op() string
	// Validate checks every rule that needs no store, and fills in defaults
	// that follow from other fields. Its error names the field.
	Validate() error
	// NewReply returns an empty reply of the command's own type.
	NewReply() Reply
}

// newOp returns an empty command that may stand in a batch, or nil.
func newOp(op string) Command {
	switch op {
	case "kv.set":
		return &Set{}
	case "kv.delete":
		return &Delete{}
	case "kv.touch":
		return &Touch{}
	case "kv.increment":
		return &Increment{}
	case "svc.register":
		return &Register{}
	case "svc.deregister":
		return &Deregister{}
	}
	return nil
}

// NewCommand returns an empty command for a subject without prefix, or nil.
func NewCommand(op string) Command {
	switch op {
	case "kv.clear":
		return &Clear{}
	case "svc.heartbeat":
		return &Heartbeat{}
	case "batch.apply":
		return &Batch{}
	}
	return newOp(op)
}

// Set stores a value under a key.
type Set struct {
	Key            string  `wire:"key"`
	Value          []byte  `wire:"value,required"`
	TTLMs          int64   `wire:"ttl_ms,omitempty"`   // 0: never expires
	KeepTTL        bool    `wire:"keep_ttl,omitempty"` // keeps the deadline that the key has
	IfRevision     *uint64 `wire:"if_revision,omitempty"`
	ReturnPrevious bool    `wire:"return_previous,omitempty"`
}

// Delete removes a key. Deleting what is not there succeeds.
type Delete struct {
	Key            string  `wire:"key"`
	IfRevision     *uint64 `wire:"if_revision,omitempty"`
	ReturnPrevious bool    `wire:"return_previous,omitempty"`
}

// Touch moves a key's deadline and changes nothing else. Without TTLMs the key
// gets its last TTL again; 0 takes the deadline off.
type Touch struct {
	Key        string  `wire:"key"`
	TTLMs      *int64  `wire:"ttl_ms,omitempty"`
	IfRevision *uint64 `wire:"if_revision,omitempty"`
}

// Increment adds to a number kept as decimal text, and creates it from 0.
type Increment struct {
	Key        string  `wire:"key"`
	By         int64   `wire:"by,omitempty,nonzero"` // 0 in Go: 1
	TTLMs      int64   `wire:"ttl_ms,omitempty"`     // only when it creates
	IfRevision *uint64 `wire:"if_revision,omitempty"`
}

// Clear deletes the keys below a prefix, at most Limit of them in one commit.
type Clear struct {
	Prefix string `wire:"prefix"`
	Limit  int64  `wire:"limit,omitempty"` // 0: [DefaultPage], also the most
}

// Statuses of an instance.
const (
	Passing  = "passing"
	Warning  = "warning"
	Critical = "critical"
)

// Register announces an instance of a service, or renews it. Registering
// exactly what is registered only renews the deadline.
type Register struct {
	Name       string            `wire:"name"`
	ID         string            `wire:"id,omitempty"` // default: address:port
	Address    string            `wire:"address,omitempty"`
	Port       int64             `wire:"port,omitempty"`
	Tags       []string          `wire:"tags,omitempty,max=64"`
	Meta       map[string]string `wire:"meta,omitempty,max=64"`
	TTLMs      int64             `wire:"ttl_ms,omitempty"` // 0: never expires
	Status     string            `wire:"status,omitempty"` // default: passing
	Note       string            `wire:"note,omitempty"`
	IfRevision *uint64           `wire:"if_revision,omitempty"`
}

// Heartbeat renews an instance's deadline, and its status and note where they
// are given.
type Heartbeat struct {
	Name       string  `wire:"name"`
	ID         string  `wire:"id"`
	Status     string  `wire:"status,omitempty"`
	Note       *string `wire:"note,omitempty"`
	IfRevision *uint64 `wire:"if_revision,omitempty"`
}

// Deregister removes an instance. Removing what is not there succeeds.
type Deregister struct {
	Name       string  `wire:"name"`
	ID         string  `wire:"id"`
	IfRevision *uint64 `wire:"if_revision,omitempty"`
}

// Batch applies all of its ops or none: for readers, for crashes and on the
// feed. Conditions look at the state before the batch. Its ops are any command
// but [Clear], [Heartbeat] and Batch.
type Batch struct {
	Ops []Command   `wire:"ops,required,max=1000"`
	If  []Condition `wire:"if,omitempty,max=1000"`
}

// Condition holds if the record's revision is exactly Revision; 0 means that
// there is none. It names a key, or a service's name and id.
type Condition struct {
	Key      string  `wire:"key,omitempty"`
	Name     string  `wire:"name,omitempty"`
	ID       string  `wire:"id,omitempty"`
	Revision *uint64 `wire:"revision,required"`
}

// Revision returns a pointer to n, for the fields where 0 and absent differ.
func Revision(n uint64) *uint64 { return &n }

// Op returns "kv.set".
func (*Set) Op() string { return "kv.set" }

// Op returns "kv.delete".
func (*Delete) Op() string { return "kv.delete" }

// Op returns "kv.touch".
func (*Touch) Op() string { return "kv.touch" }

// Op returns "kv.increment".
func (*Increment) Op() string { return "kv.increment" }

// Op returns "kv.clear".
func (*Clear) Op() string { return "kv.clear" }

// Op returns "svc.register".
func (*Register) Op() string { return "svc.register" }

// Op returns "svc.heartbeat".
func (*Heartbeat) Op() string { return "svc.heartbeat" }

// Op returns "svc.deregister".
func (*Deregister) Op() string { return "svc.deregister" }

// Op returns "batch.apply".
func (*Batch) Op() string { return "batch.apply" }

// Validate checks the key, the value's size and the TTL.
func (c *Set) Validate() error {
	if c.KeepTTL && c.TTLMs != 0 {
		return Invalidf("keep_ttl", "does not go with ttl_ms")
	}
	return first(checkKey("key", c.Key), checkValue("value", c.Value), checkTTL(c.TTLMs))
}

// Validate checks the key.
func (c *Delete) Validate() error { return ValidateKey(c.Key) }

// Validate checks the key and the TTL.
func (c *Touch) Validate() error {
	if c.TTLMs == nil {
		return ValidateKey(c.Key)
	}
	return first(checkKey("key", c.Key), checkTTL(*c.TTLMs))
}

// Validate checks the key and the TTL, and makes By 1 where it is not given.
func (c *Increment) Validate() error {
	if c.By == 0 {
		c.By = 1
	}
	return first(checkKey("key", c.Key), checkTTL(c.TTLMs))
}

// Validate checks the prefix, which must not be empty, and the limit.
func (c *Clear) Validate() error {
	if c.Limit == 0 {
		c.Limit = DefaultPage
	}
	return first(checkText("prefix", c.Prefix, 1, MaxKey), checkLimit(c.Limit, DefaultPage))
}

// Validate checks every field, sorts the tags (they are a set) and fills in
// the id and the status where they are not given.
func (c *Register) Validate() error {
	if c.ID == "" && c.Address != "" && c.Port != 0 {
		c.ID = net.JoinHostPort(c.Address, strconv.FormatInt(c.Port, 10))
	}
	if c.ID == "" {
		return Invalidf("id", "is required without both address and port")
	}
	if c.Status == "" {
		c.Status = Passing
	}
	if c.Port < 0 || c.Port > 65535 {
		return Invalidf("port", "must be from 0 to 65535")
	}
	slices.Sort(c.Tags)
	c.Tags = slices.Compact(c.Tags)
	return first(
		checkName("name", c.Name), checkName("id", c.ID),
		checkText("address", c.Address, 0, MaxAddress), checkTTL(c.TTLMs), checkTags(c.Tags),
		checkMeta(c.Meta), checkStatus("status", c.Status), checkText("note", c.Note, 0, MaxNote),
	)
}

func checkTags(tags []string) *Error {
	if len(tags) > MaxTags {
		return overLimit("tags", MaxTags, "tags")
	}
	for i, tag := range tags {
		if e := checkText("", tag, 1, MaxTag); e != nil {
			return e.Within("tags", i)
		}
	}
	return nil
}

func checkMeta(meta map[string]string) *Error {
	if len(meta) > MaxMeta {
		return overLimit("meta", MaxMeta, "entries")
	}
	for _, key := range slices.Sorted(maps.Keys(meta)) { // the same refusal each time
		value := meta[key]
		if e := checkText("meta", key, 1, MaxMetaKey); e != nil {
			return e
		}
		if e := checkText("meta."+key, value, 0, MaxMetaVal); e != nil {
			return e
		}
	}
	return nil
}

func checkStatus(field, status string) *Error {
	switch status {
	case Passing, Warning, Critical:
		return nil
	}
	return Invalidf(field, "is %q, but must be passing, warning or critical", status)
}

// Validate checks the name, the id, the status and the note.
func (c *Heartbeat) Validate() error {
	if err := first(checkName("name", c.Name), checkName("id", c.ID)); err != nil {
		return err
	}
	if c.Status != "" {
		if e := checkStatus("status", c.Status); e != nil {
			return e
		}
	}
	if c.Note != nil {
		return refusal(checkText("note", *c.Note, 0, MaxNote))
	}
	return nil
}

// Validate checks the name and the id.
func (c *Deregister) Validate() error {
	return first(checkName("name", c.Name), checkName("id", c.ID))
}

// Validate checks every op and every condition. Its error carries the index.
func (c *Batch) Validate() error {
	if len(c.Ops) == 0 {
		return Invalidf("ops", "must not be empty")
	}
	if len(c.Ops) > MaxOps {
		return overLimit("ops", MaxOps, "ops")
	}
	if len(c.If) > MaxOps {
		return overLimit("if", MaxOps, "conditions")
	}
	size := 0
	for i, op := range c.Ops {
		if err := validateOp(op); err != nil {
			return AsError(err).Within("ops", i)
		}
		size += weight(op)
	}
	if size > MaxBatch {
		return overLimit("ops", MaxBatch, "bytes of keys and values")
	}
	for i := range c.If {
		if err := c.If[i].validate(); err != nil {
			return err.Within("if", i)
		}
	}
	return nil
}

// weight is what an op takes in any encoding at the least.
func weight(op Command) int {
	switch c := op.(type) {
	case *Set:
		return len(c.Key) + len(c.Value)
	case *Register:
		size := len(c.Name) + len(c.ID) + len(c.Address) + len(c.Note)
		for _, tag := range c.Tags {
			size += len(tag)
		}
		for key, value := range c.Meta {
			size += len(key) + len(value)
		}
		return size
	}
	key, _ := opKey(op)
	return len(key)
}

func validateOp(op Command) error {
	if op == nil || newOp(op.Op()) == nil {
		return Invalidf("op", "is none that a batch takes")
	}
	switch c := op.(type) {
	case *Set:
		if c.ReturnPrevious {
			return Invalidf("return_previous", "is not for batches")
		}
	case *Delete:
		if c.ReturnPrevious {
			return Invalidf("return_previous", "is not for batches")
		}
	}
	return op.Validate()
}

func (c *Condition) validate() *Error {
	switch {
	case c.Revision == nil:
		return Invalidf("revision", "is required")
	case c.Key == "" && c.Name == "":
		return Invalidf("key", "is required, or name and id")
	case c.Key != "" && (c.Name != "" || c.ID != ""):
		return Invalidf("key", "does not go with name and id")
	case c.Key != "":
		return checkKey("key", c.Key)
	}
	if e := checkName("name", c.Name); e != nil {
		return e
	}
	return checkName("id", c.ID)
}
