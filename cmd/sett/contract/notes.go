package contract

import (
	"reflect"

	"github.com/settkv/sett/codec"
)

// note is what the plans of codec do not know of a field.
type note struct {
	doc string // one sentence

	// In a request: the limits of a text or of bytes (in bytes), of a number,
	// or of each text in a list and each key in a map. most 0: none.
	least, most int64
	orZero      bool     // 0 is allowed below least
	mostValue   int64    // of the values in a map
	values      []string // the texts that there are; or nil
	noSlash     bool     // a text without "/"
}

func noteOf(t reflect.Type, field string) note {
	if n, ok := notes[t.Name()+"."+field]; ok {
		return n
	}
	return notes[field]
}

var statuses = []string{codec.Passing, codec.Warning, codec.Critical}

// ttlMs is the note of a TTL with its meaning.
func ttlMs(doc string) note {
	return note{doc: doc, least: codec.MinTTL.Milliseconds(), most: codec.MaxTTL.Milliseconds(), orZero: true}
}

// nameOf is the note of a service's name or an instance's id.
func nameOf(doc string) note {
	return note{doc: doc, least: 1, most: codec.MaxName, noSlash: true}
}

// notes say what each field is. A field whose meaning depends on the message
// stands with its type.
var notes = map[string]note{
	// What requests and replies share.
	"key":              {doc: "The key.", least: 1, most: codec.MaxKey},
	"name":             nameOf("The service's name."),
	"id":               nameOf("The instance's id."),
	"address":          {doc: "The host where it is reached.", most: codec.MaxAddress},
	"port":             {doc: "The port where it is reached.", most: 65535},
	"tags":             {doc: "Its tags, which are a set.", least: 1, most: codec.MaxTag},
	"meta":             {doc: "Its free-form entries.", least: 1, most: codec.MaxMetaKey, mostValue: codec.MaxMetaVal},
	"status":           {doc: "How it is.", values: statuses},
	"note":             {doc: "A text on the status, for people.", most: codec.MaxNote},
	"ttl_ms":           {doc: "The TTL that it was given."},
	"expires_at_ms":    {doc: "Its deadline, in Unix milliseconds of the store's clock. What never expires has none."},
	"revision":         {doc: "The revision of its last change."},
	"created_revision": {doc: "The revision at which it was created."},

	// Requests.
	"if_revision":        {doc: "Only if the revision is exactly this; 0: only if there is none."},
	"return_previous":    {doc: "Answer with what was there before."},
	"prefix":             {doc: "Only what begins with this.", most: codec.MaxKey},
	"limit":              {doc: "The most elements of the page; 0 means 1,000.", most: codec.MaxPage},
	"cursor":             {doc: "`next` of the page before. All else must be as it was then.", most: codec.MaxCursor},
	"Set.value":          {doc: "The value.", most: codec.MaxValue},
	"Set.ttl_ms":         ttlMs("Expire after this long. Without it, or with 0, the key never expires."),
	"keep_ttl":           {doc: "Keep the deadline that the key has. Does not go with `ttl_ms`."},
	"Touch.ttl_ms":       ttlMs("Expire after this long from now on; 0: never. Without it the key gets its last TTL again."),
	"by":                 {doc: "What to add. Without it 1."},
	"Increment.ttl_ms":   ttlMs("Expire after this long, if this creates the key."),
	"Clear.prefix":       {doc: "Delete what begins with this.", least: 1, most: codec.MaxKey},
	"Clear.limit":        {doc: "Delete at most so many in this one commit; 0 means 1,000.", most: codec.DefaultPage},
	"Register.id":        {doc: "The instance's id. Without it `address:port`, and both are needed.", most: codec.MaxName, noSlash: true},
	"Register.ttl_ms":    ttlMs("Expire this long after the last heartbeat. Without it, or with 0, never."),
	"Register.status":    {doc: "How it is. Without it passing.", values: statuses},
	"Heartbeat.status":   {doc: "How it is now. Without it as before.", values: statuses},
	"Heartbeat.note":     {doc: "A text on the status, for people. Without it as before.", most: codec.MaxNote},
	"ops":                {doc: "The commands, applied one after the other.", least: 1},
	"if":                 {doc: "Conditions on the state before the batch: one that does not hold fails all."},
	"Condition.key":      {doc: "The key, or `name` and `id`.", most: codec.MaxKey},
	"Condition.name":     {doc: "The service's name, with `id`.", most: codec.MaxName, noSlash: true},
	"Condition.id":       {doc: "The instance's id, with `name`.", most: codec.MaxName, noSlash: true},
	"Condition.revision": {doc: "What its revision must be; 0: there must be none."},
	"after":              {doc: "A key: begin behind it. Does not go with `cursor`.", most: codec.MaxKey},
	"return_values":      {doc: "With the values."},
	"reverse":            {doc: "From the last key to the first."},
	"delimiter":          {doc: "Fold keys that have this text behind the prefix into `prefixes`, as folders.", most: codec.MaxKey},
	"keys":               {doc: "The keys.", least: 1, most: codec.MaxKey},
	"GetService.id":      {doc: "Only the instance of this id.", most: codec.MaxName, noSlash: true},
	"GetService.tags":    {doc: "Only instances that have all of these tags.", least: 1, most: codec.MaxTag},
	"GetService.meta":    {doc: "Only instances that have all of these entries.", least: 1, most: codec.MaxMetaKey, mostValue: codec.MaxMetaVal},
	"statuses":           {doc: "Only instances of these statuses. Without it passing and warning.", values: statuses},
	"pick": {
		doc:    "Order the instances: at random, or as `pick_key` decides, which stays the same while instances come and go.",
		values: []string{codec.PickRandom, codec.PickRendezvous},
	},
	"pick_key":            {doc: "What decides the order of rendezvous, such as a user's id.", most: codec.MaxKey},
	"ListServices.prefix": {doc: "Only names that begin with this.", most: codec.MaxName},

	// Replies.
	"store_revision":            {doc: "The answer includes every change up to this one."},
	"epoch":                     {doc: "Another one than before says: load again."},
	"duplicate":                 {doc: "This repeats the reply to an earlier command with the same `Nats-Msg-Id`."},
	"created":                   {doc: "There was none before."},
	"previous":                  {doc: "What was there before, if that was asked for."},
	"SetReply.revision":         {doc: "The revision of this change."},
	"DeleteReply.revision":      {doc: "The revision of this change; 0 where there was no key."},
	"TouchReply.revision":       {doc: "The key's revision, which a touch does not change."},
	"IncrementReply.revision":   {doc: "The revision of this change."},
	"ClearReply.revision":       {doc: "The revision of the last key that was deleted; 0 where there was none."},
	"RegisterReply.revision":    {doc: "The revision of this change, or of the instance where nothing changed."},
	"HeartbeatReply.revision":   {doc: "The instance's revision."},
	"DeregisterReply.revision":  {doc: "The revision of this change; 0 where there was no instance."},
	"BatchReply.revision":       {doc: "The revision of the last change."},
	"DeleteReply.deleted":       {doc: "Whether there was such a key."},
	"ClearReply.deleted":        {doc: "How many keys were deleted."},
	"more":                      {doc: "Keys are left: ask again."},
	"IncrementReply.value":      {doc: "The number that it is now."},
	"deregistered":              {doc: "Whether there was such an instance."},
	"results":                   {doc: "What each op gave, in the order of `ops`."},
	"GetReply.value":            {doc: "The value."},
	"Entry.value":               {doc: "The value; in a list only if it was asked for."},
	"ListReply.entries":         {doc: "The keys of this page."},
	"prefixes":                  {doc: "What was folded: each prefix up to and with the delimiter."},
	"next":                      {doc: "Ask for the next page with this as `cursor`. Without it this was the last page."},
	"BatchGetReply.entries":     {doc: "The keys that exist, in the order of the request."},
	"GetServiceReply.instances": {doc: "The instances; none where nobody registered the name."},
	"services":                  {doc: "The services of this page."},
	"count":                     {doc: "How many instances it has."},
	"Service.tags":              {doc: "The tags of any of its instances."},

	// store.status.
	"store_id":              {doc: "Which store this is; it stays with the data."},
	"version":               {doc: "The version of the program."},
	"StatusReply.keys":      {doc: "How many keys there are."},
	"StatusReply.instances": {doc: "How many instances there are."},
	"StatusReply.bytes":     {doc: "The size of the data on disk, or in memory."},
	"feed":                  {doc: "How far the change feed has come."},
	"uptime_ms":             {doc: "How long it has been running."},
	"limits":                {doc: "The limits that it keeps."},
	"ready":                 {doc: "Whether it takes commands."},
	"reasons":               {doc: "Why it is not ready."},
	"mode":                  {doc: "Of the feed: live or durable."},
	"acked_revision":        {doc: "Changes are announced up to this one."},
	"outbox_revisions":      {doc: "How many changes are not yet announced."},
	"outbox_bytes":          {doc: "The size of these changes."},
	"lag_ms":                {doc: "The age of the oldest of them."},
	"Limits.key":            {doc: "Bytes of a key."},
	"Limits.subject":        {doc: "Bytes of a key or name as subject tokens."},
	"Limits.value":          {doc: "Bytes of a value."},
	"Limits.name":           {doc: "Bytes of a service's name, and of an instance's id."},
	"Limits.tags":           {doc: "Tags of an instance."},
	"Limits.meta":           {doc: "Free-form entries of an instance."},
	"Limits.ops":            {doc: "Commands of a batch."},
	"Limits.batch":          {doc: "Bytes of a batch."},
	"events":                {doc: "Bytes of the events of one command or batch."},
	"max_payload":           {doc: "Bytes of a message, which the NATS server decides."},
	"min_ttl_ms":            {doc: "The shortest TTL."},
	"max_ttl_ms":            {doc: "The longest TTL."},

	// store.backup.
	"seq":                   {doc: "1, 2, 3, ...: a hole means that a chunk was lost."},
	"data":                  {doc: "The next bytes of the backup."},
	"done":                  {doc: "The backup is whole."},
	"chunks":                {doc: "How many chunks there were."},
	"BackupReply.bytes":     {doc: "How many bytes they had."},
	"sha256":                {doc: "The SHA-256 over these bytes, in hexadecimal."},
	"BackupReply.keys":      {doc: "How many keys are in it."},
	"BackupReply.instances": {doc: "How many instances are in it."},

	// Refusals.
	"code":           {doc: "What kind of refusal it is; programs decide by this and nothing else."},
	"message":        {doc: "A sentence for people."},
	"temporary":      {doc: "Whether the same request may succeed later."},
	"field":          {doc: "The field that broke a rule."},
	"Error.limit":    {doc: "The limit that was passed."},
	"index":          {doc: "Which op or condition of the batch it was, counted from 0."},
	"Error.key":      {doc: "The key whose condition did not hold."},
	"Error.name":     {doc: "The service whose condition did not hold."},
	"Error.id":       {doc: "The instance whose condition did not hold."},
	"Error.revision": {doc: "The revision that it has; 0: there is none."},

	// Events.
	"Change.revision":      {doc: "The revision of this change: dense and rising within an epoch."},
	"Change.op":            {doc: "What happened: set, delete, expire, register, deregister, or changed (the store itself)."},
	"reason":               {doc: "Why the store itself changed: restored, rewound or gap."},
	"Change.key":           {doc: "The key, if it is about one."},
	"Change.name":          {doc: "The service's name, if it is about an instance."},
	"Change.id":            {doc: "The instance's id."},
	"previous_revision":    {doc: "The revision that it had before; 0: there was none."},
	"commit_revision":      {doc: "The last revision of the same command or batch: up to it all happened at once."},
	"time_ms":              {doc: "When it happened, in Unix milliseconds of the store's clock."},
	"Change.value":         {doc: "The value, of a set."},
	"Change.ttl_ms":        {doc: "The TTL, of a set."},
	"Change.expires_at_ms": {doc: "The deadline, of a set."},
	"instance":             {doc: "The instance; when it goes, as it was last."},
	"command":              {doc: "The command's subject, without prefix and key."},
	"Rejected.id":          {doc: "The command's `Nats-Msg-Id`, if it had one."},
}

// sentences say what the messages are that no subject names.
var sentences = map[string]string{
	"Op":         "A command in a batch.",
	"Result":     "What a command in a batch gave.",
	"Condition":  "It holds if the revision of the key, or of the instance, is exactly this.",
	"Entry":      "A key with its value.",
	"Instance":   "One registered instance of a service.",
	"Service":    "What there is of the instances of one name.",
	"FeedStatus": "How far the change feed has come.",
	"Limits":     "The limits of a store.",
	"Change":     "A change of a key, of an instance, or of the store itself.",
	"Rejected":   "A command that nobody waited for failed. It never tells a key or a value.",
	"ErrorReply": "A refusal. Only `internal`, and no answer at all, leave open whether a command was applied.",
}

// remarks say of an endpoint or event what no field does.
var remarks = map[string]string{
	"kv.set":         "Without `ttl_ms` and `keep_ttl` the deadline that the key had is taken off.",
	"kv.delete":      "Deleting what is not there succeeds, with `deleted` false, and announces nothing.",
	"kv.touch":       "Nothing else changes, and nothing is announced. With `if_revision` it keeps a lock without renewing the next owner's.",
	"kv.clear":       "Ask again while `more` is true: each request is one commit.",
	"svc.register":   "Registering exactly what is registered renews the deadline and announces nothing.",
	"svc.heartbeat":  "`not_found` says that the instance has expired: register again.",
	"svc.deregister": "Removing what is not there succeeds, with `deregistered` false.",
	"batch.apply":    "All or none: for readers, for crashes and on the feed. It takes at most 900 KiB. Behind a prefix it takes `kv.*` commands only.",
	"kv.list":        "A page ends at `limit`, or before it outgrows a message. All pages of a walk carry the `store_revision` of the first one: follow the feed from there, and skip events that are not above the revision you hold.",
	"svc.get":        "A name that nobody registered has no instances, which is no error.",
	"store.backup":   "Acknowledge each chunk with an empty message on its own reply subject; at most 8 are on their way. Chunks come to the reply subject of the request, and the reply after the last one.",
	"kv.changed":     "To a plain subscriber live, in order and at most once.",
	"svc.changed":    "To a plain subscriber live, in order and at most once.",
	"store.changed":  "The contents were replaced, or the feed lost continuity.",
	"store.rejected": "Of commands that were sent without a reply subject; at most 100 a second.",
}

// whens say what each code means.
var whens = map[codec.Code]string{
	codec.Invalid:     "cannot be decoded, or breaks a rule",
	codec.NotFound:    "no such key or instance",
	codec.Conflict:    "a condition did not hold",
	codec.TooLarge:    "over a limit, or the reply would be",
	codec.Overloaded:  "too many requests wait",
	codec.Unavailable: "starting, stopping, disk or outbox full",
	codec.Internal:    "ours; the detail is in the store's log",
}
