package integration

import "strings"

// limitScenarios pass every limit of DESIGN 3.5 by one. What goes exactly up
// to it is taken.
func limitScenarios() []scenario {
	const tenYears = 10 * 365 * 24 * 60 * 60 * 1000
	fill := func(n int) string { return strings.Repeat("x", n) }
	key := func(n int) string { return "§/" + fill(n-60) } // some of it is the namespace
	tags := func(n int) list {
		all := make(list, n)
		for i := range all {
			all[i] = fill(i + 1)
		}
		return all
	}
	meta := func(n, keyBytes, valueBytes int) obj {
		all := obj{}
		for i := range n {
			all[fill(keyBytes-3)+string(rune('a'+i/26))+string(rune('a'+i%26))+"-"] = fill(valueBytes)
		}
		return all
	}
	tooLarge := func(field string, limit int) obj { return obj{"field": field, "limit": limit} }
	register := func(field string, value any) obj {
		return obj{"name": "§", "id": "1", field: value}
	}
	registered := obj{"revision": number, "id": "1", "created": boolean}
	return []scenario{
		{"key limits", []step{
			{subject: "kv.set", send: obj{"key": key(1000), "value": "1"}, want: obj{"revision": number, "created": true}},
			{subject: "kv.set", send: obj{"key": fill(1024), "value": "1"}, want: obj{"revision": number, "created": boolean}},
			{subject: "kv.set", send: obj{"key": fill(1025), "value": "1"}, code: "too_large", detail: tooLarge("key", 1024)},
			{subject: "kv.get", send: obj{"key": fill(1025)}, code: "too_large", detail: tooLarge("key", 1024)},
			{subject: "kv.set", send: obj{"key": strings.Repeat(".", 1000), "value": "1"}, bare: true, want: obj{"revision": number, "created": boolean}},
			{subject: "kv.set", send: obj{"key": strings.Repeat(".", 1001), "value": "1"}, bare: true, code: "too_large", detail: tooLarge("key", 3000)},
		}},
		{"value limits", []step{
			{subject: "kv.set", send: obj{"key": "§/v", "value": fill(512 << 10)}, want: obj{"revision": number, "created": true}},
			{subject: "kv.set", send: obj{"key": "§/v", "value": fill(512<<10 + 1)}, code: "too_large", detail: tooLarge("value", 512<<10)},
			{subject: "kv.delete", send: obj{"key": "§/v", "return_previous": true}, want: obj{"revision": number, "deleted": true, "previous": message}},
			{subject: "kv.delete", send: obj{"key": fill(1025)}, code: "too_large", detail: tooLarge("key", 1024)},
			{subject: "kv.increment", send: obj{"key": fill(1025)}, code: "too_large", detail: tooLarge("key", 1024)},
			{subject: "kv.touch", send: obj{"key": fill(1025)}, code: "too_large", detail: tooLarge("key", 1024)},
			{subject: "kv.list", send: obj{"limit": 10_001}, code: "too_large", detail: tooLarge("limit", 10_000)},
			{subject: "kv.list", send: obj{"prefix": fill(1025)}, bare: true, code: "too_large", detail: tooLarge("prefix", 1024)},
			{subject: "kv.clear", send: obj{"prefix": "§/", "limit": 1001}, code: "too_large", detail: tooLarge("limit", 1000)},
		}},
		{"ttl limits", []step{
			{subject: "kv.set", send: obj{"key": "§/v", "value": "1", "ttl_ms": tenYears}, want: obj{"revision": number, "created": true, "expires_at_ms": inAbout(tenYears)}},
			{subject: "kv.set", send: obj{"key": "§/v", "value": "1", "ttl_ms": tenYears + 1}, code: "too_large", detail: tooLarge("ttl_ms", tenYears)},
			{subject: "kv.set", send: obj{"key": "§/v", "value": "1", "ttl_ms": 9}, code: "invalid", detail: obj{"field": "ttl_ms"}},
			{subject: "kv.set", send: obj{"key": "§/v", "value": "1", "ttl_ms": -1}, code: "invalid", detail: obj{"field": "ttl_ms"}},
		}},
		{"service limits", []step{
			{subject: "svc.register", send: register("tags", tags(64)), want: registered},
			{subject: "svc.register", send: register("tags", tags(65)), code: "too_large", detail: tooLarge("tags", 64)},
			{subject: "svc.register", send: register("tags", list{fill(255)}), want: registered},
			{subject: "svc.register", send: register("tags", list{fill(256)}), code: "too_large", detail: obj{"field": "tags[0]", "limit": 255, "index": 0}},
			{subject: "svc.register", send: register("meta", meta(64, 128, 512)), want: registered},
			{subject: "svc.register", send: register("meta", meta(65, 128, 512)), code: "too_large", detail: tooLarge("meta", 64)},
			{subject: "svc.register", send: register("meta", meta(1, 129, 1)), code: "too_large", detail: tooLarge("meta", 128)},
			{subject: "svc.register", send: register("meta", obj{"k": fill(513)}), code: "too_large", detail: tooLarge("meta.k", 512)},
			{subject: "svc.register", send: obj{"name": fill(256), "id": "1"}, code: "too_large", detail: tooLarge("name", 255)},
			{subject: "svc.register", send: register("id", fill(256)), code: "too_large", detail: tooLarge("id", 255)},
			{subject: "svc.register", send: register("port", 65536), code: "invalid", detail: obj{"field": "port"}},
			{subject: "svc.register", send: obj{"name": "a/b", "id": "1"}, bare: true, code: "invalid", detail: obj{"field": "name"}},
			{subject: "svc.deregister", send: obj{"name": "§", "id": "a/b"}, code: "invalid", detail: obj{"field": "id"}},
			{subject: "svc.deregister", send: obj{"name": "§", "id": fill(256)}, code: "too_large", detail: tooLarge("id", 255)},
			{subject: "svc.heartbeat", send: obj{"name": "§", "id": fill(256)}, code: "too_large", detail: tooLarge("id", 255)},
			{subject: "svc.get", send: obj{"name": fill(256)}, code: "too_large", detail: tooLarge("name", 255)},
			{subject: "svc.list", send: obj{"limit": 10_001}, code: "too_large", detail: tooLarge("limit", 10_000)},
			{subject: "svc.heartbeat", send: obj{"name": "§", "id": "1", "status": "fine"}, code: "invalid", detail: obj{"field": "status"}},
		}},
		{"batch limits", batchLimits(fill, tooLarge)},
	}
}

// batchLimits are the steps about how much a batch takes.
func batchLimits(fill func(int) string, tooLarge func(string, int) obj) []step {
	sets := func(n, bytes int) list {
		all := make(list, n)
		for i := range all {
			all[i] = obj{"op": "kv.set", "key": "§/" + fill(i%500+1), "value": fill(bytes)}
		}
		return all
	}
	keys := func(n int) list {
		all := make(list, n)
		for i := range all {
			all[i] = "§/" + fill(i%500+1)
		}
		return all
	}
	return []step{
		{subject: "batch.apply", send: obj{"ops": sets(1000, 1)}, want: obj{"revision": number, "results": anyList}},
		{subject: "batch.apply", send: obj{"ops": sets(1001, 1)}, code: "too_large", detail: tooLarge("ops", 1000)},
		{subject: "batch.apply", send: obj{"ops": sets(2, 460<<10)}, code: "too_large", detail: obj{"limit": 900 << 10}},
		{subject: "batch.apply", send: obj{"ops": list{}}, code: "invalid", detail: obj{"field": "ops"}},
		{subject: "batch.apply", send: obj{}, code: "invalid", detail: obj{"field": "ops"}},
		{subject: "batch.get", send: obj{"keys": keys(1000)}, want: obj{"entries": anyList}},
		{subject: "batch.get", send: obj{"keys": keys(1001)}, code: "too_large", detail: tooLarge("keys", 1000)},
		{subject: "batch.get", send: obj{"keys": list{}}, code: "invalid", detail: obj{"field": "keys"}},
		{subject: "kv.set", send: obj{"key": "§/big1", "value": fill(512 << 10)}, want: obj{"revision": number, "created": true}},
		{subject: "kv.set", send: obj{"key": "§/big2", "value": fill(512 << 10)}, want: obj{"revision": number, "created": true}},
		{subject: "batch.get", send: obj{"keys": list{"§/big1", "§/big2"}}, code: "too_large", detail: obj{"limit": number}},
	}
}
