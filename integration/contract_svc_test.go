package integration

// svcScenarios tell of services.
func svcScenarios() []scenario {
	const day = 24 * 60 * 60 * 1000
	instance := obj{
		"name": "§", "id": "10.0.0.1:80", "address": "10.0.0.1", "port": 80, "tags": list{"a", "b"}, "meta": obj{"zone": "x"},
		"status": "passing", "note": "new", "ttl_ms": day, "expires_at_ms": inAbout(day), "revision": ref("r1"), "created_revision": ref("r1"),
	}
	register := obj{"name": "§", "address": "10.0.0.1", "port": 80, "tags": list{"b", "a", "b"}, "meta": obj{"zone": "x"}, "ttl_ms": day, "note": "new"}
	again := obj{"name": "§", "address": "10.0.0.1", "port": 80, "tags": list{"a", "b"}, "meta": obj{"zone": "x"}, "ttl_ms": day, "note": "new"}
	return []scenario{
		{"register", []step{
			{subject: "svc.register", send: register, want: obj{"revision": save("r1"), "id": "10.0.0.1:80", "created": true, "expires_at_ms": inAbout(day)}},
			{subject: "svc.get", send: obj{"name": "§"}, want: obj{"instances": list{instance}}},
			{subject: "svc.register", send: again, want: obj{"revision": ref("r1"), "id": "10.0.0.1:80", "created": false, "expires_at_ms": inAbout(day)}},
			{subject: "svc.register", send: obj{"name": "§", "id": "10.0.0.1:80"}, want: obj{"revision": save("r2"), "id": "10.0.0.1:80", "created": false}},
			{subject: "svc.get", send: obj{"name": "§", "id": "10.0.0.1:80"}, want: obj{"instances": list{
				obj{"name": "§", "id": "10.0.0.1:80", "status": "passing", "revision": ref("r2"), "created_revision": ref("r1")}}}},
			{subject: "svc.register", send: obj{"name": "§", "address": "10.0.0.1"}, code: "invalid", detail: obj{"field": "id"}},
			{subject: "svc.register", send: obj{"name": "§", "id": "x", "if_revision": ref("r1")}, code: "conflict", detail: obj{"name": "§", "id": "x", "revision": 0}},
			{subject: "svc.register", send: obj{"name": "§", "id": "10.0.0.1:80", "if_revision": 0}, code: "conflict", detail: obj{"name": "§", "id": "10.0.0.1:80", "revision": ref("r2")}},
		}},
		{"heartbeat", []step{
			{subject: "svc.heartbeat", send: obj{"name": "§", "id": "1"}, code: "not_found", detail: obj{"name": "§", "id": "1"}},
			{subject: "svc.register", send: obj{"name": "§", "id": "1", "ttl_ms": day}, want: obj{"revision": save("r1"), "id": "1", "created": true, "expires_at_ms": inAbout(day)}},
			{subject: "svc.heartbeat", send: obj{"name": "§", "id": "1"}, want: obj{"revision": ref("r1"), "expires_at_ms": inAbout(day)}},
			{subject: "svc.heartbeat", send: obj{"name": "§", "id": "1", "status": "warning", "note": "slow"}, want: obj{"revision": save("r2"), "expires_at_ms": inAbout(day)}},
			{subject: "svc.heartbeat", send: obj{"name": "§", "id": "1", "if_revision": ref("r1")}, code: "conflict", detail: obj{"name": "§", "id": "1", "revision": ref("r2")}},
			{subject: "svc.get", send: obj{"name": "§"}, want: obj{"instances": list{obj{"name": "§", "id": "1", "status": "warning", "note": "slow",
				"ttl_ms": day, "expires_at_ms": inAbout(day), "revision": ref("r2"), "created_revision": ref("r1")}}}},
			{subject: "svc.register", send: obj{"name": "§", "id": "2"}, want: obj{"revision": save("r3"), "id": "2", "created": true}},
			{subject: "svc.heartbeat", send: obj{"name": "§", "id": "2"}, want: obj{"revision": ref("r3")}},
		}},
		{"deregister", []step{
			{subject: "svc.deregister", send: obj{"name": "§", "id": "1"}, want: obj{"revision": 0, "deregistered": false}},
			{subject: "svc.register", send: obj{"name": "§", "id": "1"}, want: obj{"revision": save("r1"), "id": "1", "created": true}},
			{subject: "svc.deregister", send: obj{"name": "§", "id": "1", "if_revision": 0}, code: "conflict", detail: obj{"name": "§", "id": "1", "revision": ref("r1")}},
			{subject: "svc.deregister", send: obj{"name": "§", "id": "1", "if_revision": ref("r1")}, want: obj{"revision": number, "deregistered": true}},
			{subject: "svc.get", send: obj{"name": "§"}, want: obj{"instances": list{}}},
		}},
		{"find services", findServices()},
	}
}

// findServices are the steps about the filters of svc.get and svc.list.
func findServices() []step {
	found := func(ids ...string) obj {
		all := list{}
		for _, id := range ids {
			all = append(all, hasID(id))
		}
		return obj{"instances": all}
	}
	page := found("a", "b")
	page["next"] = keep("next")
	return []step{
		{subject: "svc.register", send: obj{"name": "§", "id": "a", "tags": list{"x", "y"}, "meta": obj{"k": "1"}}, want: obj{"revision": number, "id": "a", "created": true}},
		{subject: "svc.register", send: obj{"name": "§", "id": "b", "tags": list{"x"}, "status": "warning"}, want: obj{"revision": number, "id": "b", "created": true}},
		{subject: "svc.register", send: obj{"name": "§", "id": "c", "status": "critical"}, want: obj{"revision": number, "id": "c", "created": true}},
		{subject: "svc.register", send: obj{"name": "§-two", "id": "a"}, want: obj{"revision": number, "id": "a", "created": true}},
		{subject: "svc.get", send: obj{"name": "§"}, want: found("a", "b")},
		{subject: "svc.get", send: obj{"name": "§", "tags": list{"x"}}, want: found("a", "b")},
		{subject: "svc.get", send: obj{"name": "§", "tags": list{"x", "y"}}, want: found("a")},
		{subject: "svc.get", send: obj{"name": "§", "meta": obj{"k": "1"}}, want: found("a")},
		{subject: "svc.get", send: obj{"name": "§", "meta": obj{"k": "2"}}, want: found()},
		{subject: "svc.get", send: obj{"name": "§", "statuses": list{"critical"}}, want: found("c")},
		{subject: "svc.get", send: obj{"name": "§", "id": "b"}, want: found("b")},
		{subject: "svc.get", send: obj{"name": "§", "statuses": list{"passing", "warning", "critical"}, "limit": 2}, want: page},
		{subject: "svc.get", send: obj{"name": "§", "statuses": list{"passing", "warning", "critical"}, "limit": 2, "cursor": ref("next")}, want: found("c")},
		{subject: "svc.get", send: obj{"name": "§", "cursor": ref("next")}, code: "invalid", detail: obj{"field": "cursor"}},
		{subject: "svc.get", send: obj{"name": "§", "pick": "random", "limit": 1, "tags": list{"y"}}, want: found("a")},
		{subject: "svc.get", send: obj{"name": "§", "pick": "rendezvous", "pick_key": "me", "tags": list{"y"}}, want: found("a")},
		{subject: "svc.get", send: obj{"name": "§", "pick": "rendezvous"}, code: "invalid", detail: obj{"field": "pick_key"}},
		{subject: "svc.get", send: obj{"name": "§", "pick": "best"}, code: "invalid", detail: obj{"field": "pick"}},
		{subject: "svc.get", send: obj{"name": "§-none"}, want: found()},
		{subject: "svc.list", send: obj{"prefix": "§"}, want: obj{"services": list{
			obj{"name": "§", "count": 3, "tags": list{"x", "y"}}, obj{"name": "§-two", "count": 1}}}},
		{subject: "svc.list", send: obj{"prefix": "§", "limit": 1}, want: obj{"services": list{message}, "next": keep("next")}},
		{subject: "svc.list", send: obj{"prefix": "§", "limit": 1, "cursor": ref("next")}, want: obj{"services": list{obj{"name": "§-two", "count": 1}}}},
		{subject: "svc.list", send: obj{"prefix": "§-none"}, want: obj{"services": list{}}},
		{subject: "svc.list", send: obj{"limit": -1}, code: "invalid", detail: obj{"field": "limit"}},
	}
}

// hasID takes an instance of this id.
func hasID(id string) matcher {
	return func(got any, v vars) error {
		m, _ := got.(obj)
		return match(m["id"], id, v)
	}
}
