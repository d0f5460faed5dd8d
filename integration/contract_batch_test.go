package integration

// batchScenarios tell of several commands at once.
func batchScenarios() []scenario {
	const day = 24 * 60 * 60 * 1000
	return []scenario{
		{"batch of every op", []step{
			{subject: "kv.set", send: obj{"key": "§/gone", "value": "1"}, want: obj{"revision": number, "created": true}},
			{subject: "batch.apply", bare: true, send: obj{"ops": list{
				obj{"op": "kv.set", "key": "§/a", "value": "1", "ttl_ms": day},
				obj{"op": "kv.delete", "key": "§/gone"},
				obj{"op": "kv.delete", "key": "§/gone"},
				obj{"op": "kv.touch", "key": "§/a", "ttl_ms": 0},
				obj{"op": "kv.increment", "key": "§/n", "by": 5},
				obj{"op": "svc.register", "name": "§", "id": "1"},
				obj{"op": "svc.deregister", "name": "§", "id": "1"},
				obj{"op": "kv.set", "key": "§/a", "value": "2"},
			}}, want: obj{"revision": ref("r"), "results": list{
				obj{"revision": save("r1"), "created": true, "expires_at_ms": inAbout(day)},
				obj{"revision": save("r2"), "deleted": true},
				obj{"revision": 0, "deleted": false},
				obj{"revision": ref("r1")},
				obj{"revision": number, "created": true, "value": 5},
				obj{"revision": number, "id": "1", "created": true},
				obj{"revision": number, "deregistered": true},
				obj{"revision": save("r"), "created": false},
			}}},
			{subject: "batch.get", send: obj{"keys": list{"§/n", "§/gone", "§/a"}}, want: obj{"entries": list{
				obj{"key": "§/n", "value": "5", "revision": number, "created_revision": number},
				obj{"key": "§/a", "value": "2", "revision": ref("r"), "created_revision": ref("r1")},
			}}},
		}},
		{"batch with conditions", batchConditions()},
		{"batch that is bound", []step{
			{subject: "batch.apply", send: obj{"ops": list{obj{"op": "kv.set", "key": "§/a", "value": "1"}}}, want: obj{"revision": ref("r1"),
				"results": list{obj{"revision": save("r1"), "created": true}}}},
			{subject: "batch.apply", send: obj{"ops": list{obj{"op": "kv.touch", "key": "§/none"}}}, code: "not_found",
				detail: obj{"key": "§/none", "field": "ops[0]", "index": 0}},
			{subject: "batch.apply", send: obj{"ops": list{obj{"op": "kv.clear", "prefix": "§/"}}}, code: "invalid", detail: obj{"field": "ops[0].op", "index": 0}},
			{subject: "batch.apply", send: obj{"ops": list{obj{"op": "svc.heartbeat", "name": "§", "id": "1"}}}, code: "invalid", detail: obj{"field": "ops[0].op", "index": 0}},
			{subject: "batch.apply", send: obj{"ops": list{obj{"op": "batch.apply", "ops": list{}}}}, code: "invalid", detail: obj{"field": "ops[0].op", "index": 0}},
			{subject: "batch.apply", send: obj{"ops": list{obj{"op": "kv.set", "key": "§/a"}}}, code: "invalid", detail: obj{"field": "ops[0].value", "index": 0}},
			{subject: "batch.apply", send: obj{"ops": list{obj{"key": "§/a"}}}, code: "invalid", detail: obj{"field": "ops[0].op", "index": 0}},
			{subject: "batch.apply", send: obj{"ops": list{obj{"op": "kv.set", "key": "§/a", "value": "1", "return_previous": true}}},
				code: "invalid", detail: obj{"field": "ops[0].return_previous", "index": 0}},
			{subject: "batch.apply", send: obj{"ops": list{obj{"op": "kv.delete", "key": "§/a"}}, "if": list{obj{"key": "§/a"}}},
				code: "invalid", detail: obj{"field": "if[0].revision", "index": 0}},
		}},
	}
}

// batchConditions are the steps about conditions, which look at the state
// before the batch.
func batchConditions() []step {
	two := func(ifs list, first, second obj) obj { return obj{"ops": list{first, second}, "if": ifs} }
	a, b := obj{"op": "kv.set", "key": "§/a", "value": "2"}, obj{"op": "kv.set", "key": "§/b", "value": "2"}
	return []step{
		{subject: "kv.set", send: obj{"key": "§/a", "value": "1"}, want: obj{"revision": save("r1"), "created": true}},
		{subject: "svc.register", send: obj{"name": "§", "id": "1"}, want: obj{"revision": save("s1"), "id": "1", "created": true}},
		{subject: "batch.apply", send: two(list{obj{"key": "§/b", "revision": 0}, obj{"key": "§/a", "revision": 0}}, a, b),
			code: "conflict", detail: obj{"field": "if[1]", "index": 1, "key": "§/a", "revision": ref("r1")}},
		{subject: "batch.apply", bare: true, send: two(list{obj{"name": "§", "id": "1", "revision": 0}}, a, b),
			code: "conflict", detail: obj{"field": "if[0]", "index": 0, "name": "§", "id": "1", "revision": ref("s1")}},
		{subject: "batch.apply", send: two(list{}, a, obj{"op": "kv.set", "key": "§/b", "value": "2", "if_revision": 7}),
			code: "conflict", detail: obj{"field": "ops[1]", "index": 1, "key": "§/b", "revision": 0}},
		{subject: "batch.apply", bare: true, send: two(list{}, a, obj{"op": "svc.deregister", "name": "§", "id": "1", "if_revision": 7}),
			code: "conflict", detail: obj{"field": "ops[1]", "index": 1, "name": "§", "id": "1", "revision": ref("s1")}},
		{subject: "kv.get", send: obj{"key": "§/a"}, want: obj{"key": "§/a", "value": "1", "revision": ref("r1"), "created_revision": ref("r1")}},
		{subject: "batch.apply", send: two(list{obj{"key": "§/a", "revision": ref("r1")}}, a, obj{"op": "kv.set", "key": "§/a", "value": "3", "if_revision": ref("r1")}),
			want: obj{"revision": ref("r3"), "results": list{obj{"revision": number, "created": false}, obj{"revision": save("r3"), "created": false}}}},
		{subject: "batch.apply", bare: true, send: two(list{obj{"name": "§", "id": "1", "revision": ref("s1")}}, a, b),
			want: obj{"revision": number, "results": anyList}},
	}
}

// readScenarios tell of reads of several keys, and of the store.
func readScenarios() []scenario {
	entry := func(key string) obj {
		return obj{"key": key, "revision": number, "created_revision": number}
	}
	with := func(e obj, value string) obj { e["value"] = value; return e }
	set := func(key string) step {
		return step{subject: "kv.set", send: obj{"key": key, "value": "v"}, want: obj{"revision": number, "created": true}}
	}
	return []scenario{
		{"list", []step{
			set("§/b"), set("§/a/1"), set("§/a/2"), set("§/c"),
			{subject: "kv.list", send: obj{"prefix": "§/"}, want: obj{"entries": list{entry("§/a/1"), entry("§/a/2"), entry("§/b"), entry("§/c")}}},
			{subject: "kv.list", send: obj{"prefix": "§/", "reverse": true, "limit": 1, "return_values": true}, want: obj{"entries": list{with(entry("§/c"), "v")}, "next": keep("n1")}},
			{subject: "kv.list", send: obj{"prefix": "§/", "reverse": true, "limit": 9, "return_values": true, "cursor": ref("n1")},
				want: obj{"entries": list{with(entry("§/b"), "v"), with(entry("§/a/2"), "v"), with(entry("§/a/1"), "v")}}},
			{subject: "kv.list", send: obj{"prefix": "§/", "cursor": ref("n1")}, code: "invalid", detail: obj{"field": "cursor"}},
			{subject: "kv.list", send: obj{"prefix": "§/", "cursor": "bogus"}, code: "invalid", detail: obj{"field": "cursor"}},
			{subject: "kv.list", send: obj{"prefix": "§/", "reverse": true, "return_values": true, "cursor": ref("n1"), "after": "§/b"}, code: "invalid", detail: obj{"field": "after"}},
			{subject: "kv.list", send: obj{"prefix": "§/", "delimiter": "/"}, want: obj{"entries": list{entry("§/b"), entry("§/c")}, "prefixes": list{"§/a/"}}},
			{subject: "kv.list", send: obj{"prefix": "§/", "after": "§/a/2"}, want: obj{"entries": list{entry("§/b"), entry("§/c")}}},
			{subject: "kv.list", send: obj{"prefix": "§/", "after": "§/b", "reverse": true}, want: obj{"entries": list{entry("§/a/2"), entry("§/a/1")}}},
			{subject: "kv.list", send: obj{"prefix": "§/a/"}, want: obj{"entries": list{entry("§/a/1"), entry("§/a/2")}}},
			{subject: "kv.list", send: obj{"prefix": "§/none/"}, want: obj{"entries": list{}}},
			{subject: "kv.list", send: obj{"prefix": "§/", "limit": -1}, code: "invalid", detail: obj{"field": "limit"}},
		}},
		{"status", []step{
			{subject: "store.status", send: obj{}, want: obj{
				"store_id": text, "version": text, "keys": number, "instances": number, "bytes": number, "uptime_ms": number, "ready": true,
				"feed": obj{"mode": text, "acked_revision": number, "outbox_revisions": number, "outbox_bytes": number, "lag_ms": number},
				"limits": obj{"key": 1024, "subject": 3000, "value": 512 << 10, "name": 255, "tags": 64, "meta": 64, "ops": 1000, "batch": 900 << 10,
					"events": 2 << 20, "max_payload": matcher(atLeastAMiB), "min_ttl_ms": 10, "max_ttl_ms": 10 * 365 * 24 * 60 * 60 * 1000},
			}},
			{subject: "store.status", send: obj{"verbose": true}, code: "invalid", detail: obj{"field": "verbose"}},
		}},
	}
}
