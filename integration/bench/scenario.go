package main

// A scenario is one question, asked of several systems in turn.
type scenario struct {
	name    string
	title   string
	action  action
	clients []int
	rows    []string          // systems that take part
	absent  map[string]string // systems that can't, and why
	fill    bool              // whether all keys exist before it
	byName  bool              // only when it is asked for: it takes long
	unit    string            // what the rate counts
	base    string            // the system that the table compares with
}

// Names of scenarios that other code refers to.
const (
	scenarioList  = "list"
	scenarioAgain = "list-again" // the second half of "list", as results and targets name it
	scenarioIdle  = "idle"
	scenarioLarge = "large"

	scenarioHeartbeat = "heartbeat"
	scenarioExpiry    = "expiry"
	scenarioInstances = "instances"
)

// overwrites is how often each listed key is written before list-again.
const overwrites = 400

var scenarios = []scenario{
	{name: "set", title: "kv.set of 128 B", action: actSet, clients: []int{1, 64, 256}, fill: true, unit: "sets", base: "echo",
		rows: []string{"echo", "sett-durable", "sett-live", "js-always", "js-default", "etcd", "redis"}},
	{name: "get", title: "kv.get of 128 B", action: actGet, clients: []int{64, 256}, fill: true, unit: "gets", base: "echo",
		rows: []string{"echo", "sett-durable", "sett-live", "js-default", "etcd", "redis"}},
	{name: "batch", title: "batch of 100 sets", action: actBatch, clients: []int{16}, fill: true, unit: "batches", base: "etcd",
		rows:   []string{"sett-durable", "sett-live", "js-always", "etcd", "redis"},
		absent: map[string]string{"js-always": "has no transaction over several keys"}},
	{name: scenarioList, title: "list of 1,000 keys with values", action: actList, clients: []int{16}, fill: true, unit: "lists", base: "etcd",
		rows:   []string{"sett-durable", "sett-live", "js-default", "etcd", "redis"},
		absent: map[string]string{"redis": "has no ordered range of keys"}},
	{name: "event", title: "set to event at a plain subscriber", action: actEvent, clients: []int{1}, unit: "sets", base: "echo",
		rows: []string{"echo", "sett-durable", "sett-live", "js-always", "js-default", "etcd"}},
	{name: scenarioIdle, title: "idle and empty",
		rows: []string{"echo", "sett-durable", "sett-live", "js-default", "etcd", "redis"}},
	{name: scenarioHeartbeat, title: "svc.heartbeat over 1,000 instances", action: actHeartbeat, clients: []int{64}, unit: "heartbeats", base: "echo",
		rows: []string{"echo", "sett-durable", "sett-live"}},
	{name: scenarioExpiry, title: "10,000 keys that expire in one second while clients write", action: actExpiry, clients: []int{64}, byName: true,
		rows: []string{"sett-durable", "sett-live"}},
	{name: scenarioInstances, title: "many live instances", action: actInstances, clients: []int{64}, byName: true,
		rows: []string{"sett-durable", "sett-live"}},
	{name: scenarioLarge, title: "many keys", action: actGet, clients: []int{64}, byName: true,
		rows: []string{"sett-durable", "sett-live"}},
}

// A target is a line of section 8 of the design: a row's score divided by that
// of another in the same round. Latency scenarios score by 1/p50, others by
// their rate.
type target struct {
	scenario string
	clients  int
	row      string
	base     string  // the row to compare with
	least    float64 // what it must reach; 0: a goal only
	goal     float64 // what comes after; 0: none
}

var targets = []target{
	{"set", 256, "sett-durable", "echo", 0.42, 0.65},
	{"set", 256, "sett-durable", "js-always", 10, 0},
	{"set", 256, "sett-durable", "etcd", 2.5, 0},
	{"set", 256, "sett-durable", "js-default", 0, 1},
	{"set", 256, "sett-live", "echo", 0.5, 0.7},
	{"set", 64, "sett-durable", "echo", 0.32, 0.5},
	{"set", 1, "sett-durable", "js-always", 1, 0},
	{"set", 1, "sett-durable", "redis", 0, 1},
	{"get", 64, "sett-durable", "echo", 0.75, 0.9},
	{"get", 256, "sett-durable", "echo", 0.8, 0.9},
	{"batch", 16, "sett-durable", "etcd", 1, 0},
	{"batch", 16, "sett-live", "etcd", 2, 0},
	{"batch", 16, "sett-durable", "redis", 0, 1},
	{scenarioList, 16, "sett-durable", "etcd", 1.5, 3},
	{scenarioList, 16, "sett-durable", "js-default", 3, 0},
	{"event", 1, "sett-durable", "js-always", 1, 0},
	{scenarioHeartbeat, 64, "sett-durable", "echo", 0.8, 0},
	{scenarioHeartbeat, 64, "sett-live", "echo", 0.8, 0},
}

// Targets that are no ratio between rows.
const (
	againTarget = 0.5 // sett's list-again, of its list
	idleMiB     = 64  // resident memory
	idleReadyMs = 300 // from the start of the process to its first answer

	largeKeys       = 10_000_000
	largeDigits     = 26   // makes keys of 32 B
	largeLoadMiB    = 2560 // resident at most while loading
	largeServeMiB   = 2048 // and while serving
	largeReadyMs    = 10_000
	largeGoalFactor = 0.5

	expiryLateMs = 100 // at a subscriber, 99th percentile
)
