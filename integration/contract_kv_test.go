package integration

// kvScenarios tell of single keys.
func kvScenarios() []scenario {
	const day = 24 * 60 * 60 * 1000
	return []scenario{
		{"set and get", []step{
			{subject: "kv.set", send: obj{"key": "§/a", "value": "one"}, want: obj{"revision": save("r1"), "created": true}},
			{subject: "kv.get", send: obj{"key": "§/a"}, want: obj{"key": "§/a", "value": "one", "revision": ref("r1"), "created_revision": ref("r1")}},
			{subject: "kv.set", send: obj{"key": "§/a", "value": ""}, want: obj{"revision": save("r2"), "created": false}},
			{subject: "kv.get", send: obj{"key": "§/a"}, want: obj{"key": "§/a", "value": "", "revision": ref("r2"), "created_revision": ref("r1")}},
			{subject: "kv.get", send: obj{"key": "§/none"}, code: "not_found", detail: obj{"key": "§/none"}},
		}},
		{"set returns previous", []step{
			{subject: "kv.set", send: obj{"key": "§/a", "value": "1", "return_previous": true}, want: obj{"revision": save("r1"), "created": true}},
			{subject: "kv.set", send: obj{"key": "§/a", "value": "2", "return_previous": true}, want: obj{"revision": save("r2"), "created": false,
				"previous": obj{"key": "§/a", "value": "1", "revision": ref("r1"), "created_revision": ref("r1")}}},
			{subject: "kv.delete", send: obj{"key": "§/a", "return_previous": true}, want: obj{"revision": save("r3"), "deleted": true,
				"previous": obj{"key": "§/a", "value": "2", "revision": ref("r2"), "created_revision": ref("r1")}}},
			{subject: "kv.delete", send: obj{"key": "§/a", "return_previous": true}, want: obj{"revision": 0, "deleted": false}},
		}},
		{"set with conditions", []step{
			{subject: "kv.set", send: obj{"key": "§/a", "value": "1", "if_revision": 0}, want: obj{"revision": save("r1"), "created": true}},
			{subject: "kv.set", send: obj{"key": "§/a", "value": "2", "if_revision": 0}, code: "conflict", detail: obj{"key": "§/a", "revision": ref("r1")}},
			{subject: "kv.set", send: obj{"key": "§/a", "value": "2", "if_revision": ref("r1")}, want: obj{"revision": save("r2"), "created": false}},
			{subject: "kv.set", send: obj{"key": "§/a", "value": "3", "if_revision": ref("r1")}, code: "conflict", detail: obj{"key": "§/a", "revision": ref("r2")}},
			{subject: "kv.set", send: obj{"key": "§/b", "value": "3", "if_revision": ref("r1")}, code: "conflict", detail: obj{"key": "§/b", "revision": 0}},
		}},
		{"delete with conditions", []step{
			{subject: "kv.set", send: obj{"key": "§/a", "value": "1"}, want: obj{"revision": save("r1"), "created": true}},
			{subject: "kv.delete", send: obj{"key": "§/a", "if_revision": 0}, code: "conflict", detail: obj{"key": "§/a", "revision": ref("r1")}},
			{subject: "kv.delete", send: obj{"key": "§/a", "if_revision": ref("r1")}, want: obj{"revision": save("r2"), "deleted": true}},
			{subject: "kv.delete", send: obj{"key": "§/a", "if_revision": 0}, want: obj{"revision": 0, "deleted": false}},
			{subject: "kv.delete", send: obj{"key": "§/a", "if_revision": ref("r1")}, code: "conflict", detail: obj{"key": "§/a", "revision": 0}},
		}},
		{"ttl", []step{
			{subject: "kv.set", send: obj{"key": "§/a", "value": "1", "ttl_ms": day}, want: obj{"revision": save("r1"), "created": true, "expires_at_ms": inAbout(day)}},
			{subject: "kv.get", send: obj{"key": "§/a"}, want: obj{"key": "§/a", "value": "1", "revision": ref("r1"), "created_revision": ref("r1"),
				"ttl_ms": day, "expires_at_ms": save("at")}},
			{subject: "kv.set", send: obj{"key": "§/a", "value": "2", "keep_ttl": true}, want: obj{"revision": save("r2"), "created": false, "expires_at_ms": ref("at")}},
			{subject: "kv.set", send: obj{"key": "§/a", "value": "3"}, want: obj{"revision": save("r3"), "created": false}},
			{subject: "kv.get", send: obj{"key": "§/a"}, want: obj{"key": "§/a", "value": "3", "revision": ref("r3"), "created_revision": ref("r1")}},
			{subject: "kv.set", send: obj{"key": "§/a", "value": "4", "keep_ttl": true}, want: obj{"revision": number, "created": false}},
			{subject: "kv.set", send: obj{"key": "§/a", "value": "5", "keep_ttl": true, "ttl_ms": day}, code: "invalid", detail: obj{"field": "keep_ttl"}},
		}},
		{"touch", []step{
			{subject: "kv.set", send: obj{"key": "§/a", "value": "1"}, want: obj{"revision": save("r1"), "created": true}},
			{subject: "kv.touch", send: obj{"key": "§/a"}, want: obj{"revision": ref("r1")}},
			{subject: "kv.touch", send: obj{"key": "§/a", "ttl_ms": day}, want: obj{"revision": ref("r1"), "expires_at_ms": inAbout(day)}},
			{subject: "kv.touch", send: obj{"key": "§/a"}, want: obj{"revision": ref("r1"), "expires_at_ms": inAbout(day)}},
			{subject: "kv.touch", send: obj{"key": "§/a", "ttl_ms": 0}, want: obj{"revision": ref("r1")}},
			{subject: "kv.get", send: obj{"key": "§/a"}, want: obj{"key": "§/a", "value": "1", "revision": ref("r1"), "created_revision": ref("r1")}},
			{subject: "kv.touch", send: obj{"key": "§/a", "if_revision": 0}, code: "conflict", detail: obj{"key": "§/a", "revision": ref("r1")}},
			{subject: "kv.touch", send: obj{"key": "§/a", "if_revision": ref("r1")}, want: obj{"revision": ref("r1")}},
			{subject: "kv.touch", send: obj{"key": "§/none"}, code: "not_found", detail: obj{"key": "§/none"}},
			{subject: "kv.touch", send: obj{"key": "§/a", "ttl_ms": 9}, code: "invalid", detail: obj{"field": "ttl_ms"}},
		}},
		{"increment", increments()},
		{"clear", []step{
			{subject: "kv.set", send: obj{"key": "§/d/1", "value": "1"}, want: obj{"revision": number, "created": true}},
			{subject: "kv.set", send: obj{"key": "§/d/2", "value": "1"}, want: obj{"revision": number, "created": true}},
			{subject: "kv.set", send: obj{"key": "§/d/3", "value": "1"}, want: obj{"revision": number, "created": true}},
			{subject: "kv.set", send: obj{"key": "§/stays", "value": "1"}, want: obj{"revision": number, "created": true}},
			{subject: "kv.clear", send: obj{"prefix": "§/d/", "limit": 2}, want: obj{"revision": save("r"), "deleted": 2, "more": true}},
			{subject: "kv.clear", send: obj{"prefix": "§/d/"}, want: obj{"revision": number, "deleted": 1, "more": false}},
			{subject: "kv.clear", send: obj{"prefix": "§/d/"}, want: obj{"revision": number, "deleted": 0, "more": false}},
			{subject: "kv.get", send: obj{"key": "§/stays"}, want: obj{"key": "§/stays", "value": "1", "revision": number, "created_revision": number}},
			{subject: "kv.clear", send: obj{"prefix": ""}, bare: true, code: "invalid", detail: obj{"field": "prefix"}},
			{subject: "kv.clear", send: obj{}, bare: true, code: "invalid", detail: obj{"field": "prefix"}},
		}},
		{"the subject rules", []step{
			{subject: "kv.get", send: obj{"key": ""}, bare: true, code: "invalid", detail: obj{"field": "key"}},
			{subject: "kv.delete", send: obj{"key": "§\x01"}, bare: true, code: "invalid", detail: obj{"field": "key"}},
		}},
	}
}

// increments are the steps about numbers kept as decimal text.
func increments() []step {
	const day = 24 * 60 * 60 * 1000
	return []step{
		{subject: "kv.increment", send: obj{"key": "§/a"}, want: obj{"revision": save("r1"), "created": true, "value": 1}},
		{subject: "kv.increment", send: obj{"key": "§/a", "by": 41}, want: obj{"revision": number, "created": false, "value": 42}},
		{subject: "kv.increment", send: obj{"key": "§/a", "by": -50}, want: obj{"revision": save("r3"), "created": false, "value": -8}},
		{subject: "kv.get", send: obj{"key": "§/a"}, want: obj{"key": "§/a", "value": "-8", "revision": ref("r3"), "created_revision": ref("r1")}},
		{subject: "kv.increment", send: obj{"key": "§/a", "by": 0}, code: "invalid", detail: obj{"field": "by"}},
		{subject: "kv.increment", send: obj{"key": "§/a", "if_revision": ref("r1")}, code: "conflict", detail: obj{"key": "§/a", "revision": ref("r3")}},
		{subject: "kv.increment", send: obj{"key": "§/t", "ttl_ms": day}, want: obj{"revision": number, "created": true, "value": 1}},
		{subject: "kv.touch", send: obj{"key": "§/t"}, want: obj{"revision": number, "expires_at_ms": inAbout(day)}},
		{subject: "kv.increment", send: obj{"key": "§/t", "ttl_ms": 2 * day}, want: obj{"revision": number, "created": false, "value": 2}},
		{subject: "kv.touch", send: obj{"key": "§/t"}, want: obj{"revision": number, "expires_at_ms": inAbout(day)}},
		{subject: "kv.set", send: obj{"key": "§/word", "value": "four"}, want: obj{"revision": number, "created": true}},
		{subject: "kv.increment", send: obj{"key": "§/word"}, code: "invalid", detail: obj{"field": "key"}},
		{subject: "kv.set", send: obj{"key": "§/max", "value": "9223372036854775807"}, want: obj{"revision": number, "created": true}},
		{subject: "kv.increment", send: obj{"key": "§/max"}, code: "invalid", detail: obj{"field": "by"}},
	}
}
