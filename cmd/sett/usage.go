package main

// usages say what the flag of a request field does. A field whose meaning
// depends on the command stands with its subject.
var usages = map[string]string{
	"key":             "the `KEY`",
	"value":           "the `VALUE` as it is, also where it begins with - or @",
	"name":            "the service's `NAME`",
	"ttl_ms":          "expire after `DURATION` (30s, 5m, 7d)",
	"keep_ttl":        "keep the deadline that the key has",
	"if_revision":     "only if the revision is exactly `N`; 0: only if there is none",
	"return_previous": "show what was there before",
	"by":              "`N` to add, may be negative (default 1)",
	"prefix":          "only what begins with `PREFIX`",
	"limit":           "at most `N` (default: all)",
	"cursor":          "go on where a listing stopped, at its `CURSOR`",
	"after":           "begin behind this `KEY`",
	"return_values":   "with the values",
	"reverse":         "backwards",
	"delimiter":       "fold what follows `TEXT` after the prefix, as folders",
	"keys":            "`KEYS`, with commas",
	"id":              "the instance's `ID`",
	"address":         "`HOST` where it is reached",
	"port":            "`PORT` where it is reached",
	"tags":            "`TAGS`, with commas",
	"meta":            "`KEY=VALUE` of free form; may be repeated",
	"status":          "`STATUS`: passing, warning or critical",
	"statuses":        "`STATUSES`, with commas (default passing,warning)",
	"note":            "a `TEXT` on the status, for people",
	"pick":            "pick in an `ORDER`: random, or rendezvous with --pick-key",
	"pick_key":        "`KEY` that decides the order: the same one picks the same instance",
	"ops":             "the `OPS` in JSON, instead of a file",
	"if":              "only if `KEY=REVISION` (0: no such key), or svc:NAME:ID=REVISION; may be repeated",

	"kv.touch.ttl_ms":     "expire `DURATION` from now; 0: never (default: its last TTL again)",
	"kv.increment.ttl_ms": "expire after `DURATION`, if this creates the key",
	"svc.register.ttl_ms": "expire `DURATION` after the last heartbeat (default: never)",
	"svc.register.id":     "the instance's `ID` (default: ADDRESS:PORT)",
	"svc.register.status": "`STATUS`: passing (the default), warning or critical",
	"svc.get.id":          "only the instance of this `ID`",
	"svc.get.tags":        "only with all of these `TAGS`, with commas",
	"svc.get.meta":        "only with this `KEY=VALUE`; may be repeated",

	// Of the flags that take one element of a list.
	"tag":            "one `TAG`, as it is; may be repeated",
	"svc.get.tag":    "only with this `TAG`, as it is; may be repeated",
	"svc.get.status": "only of this `STATUS`; may be repeated",
}

func usageOf(subject, field string) string {
	if usage := usages[subject+"."+field]; usage != "" {
		return usage
	}
	return usages[field]
}
