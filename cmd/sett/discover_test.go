package main

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/settkv/sett/codec"
)

// Prometheus finds the instances that take traffic, and only targets.
func TestDiscoverPrometheus(t *testing.T) {
	s := serveShown(t, "--engine", "memory")
	t.Setenv("NATS_URL", s.nats)
	do(t, "svc register web --address 10.0.0.5 --port 8080 --tag a --tag b --meta az=1 --meta a.z=2 --meta path=/m")
	do(t, "svc register web --address ::1 --port 80 --status warning")
	do(t, "svc register web --address 10.0.0.6 --port 8080 --status critical")
	do(t, "svc register web --id no-address")
	do(t, "svc register web --address example.com --id no-port --tag a")
	for path, want := range map[string][]string{
		"?service=web":             {"10.0.0.5:8080", "[::1]:80", "example.com"},
		"?service=web&tag=a":       {"10.0.0.5:8080", "example.com"},
		"?service=web&tag=a&tag=b": {"10.0.0.5:8080"},
		"?service=web&tag=none":    {},
		"?service=none":            {},
	} {
		resp, body := s.get("/sd/prometheus" + path)
		var groups []struct {
			Targets []string
			Labels  map[string]string
		}
		if err := json.Unmarshal([]byte(body), &groups); err != nil || body[0] != '[' || resp.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("%s: %v, %v, %s", path, err, resp.Header, body)
		}
		got := map[string]map[string]string{}
		for _, g := range groups {
			got[g.Targets[0]] = g.Labels
		}
		if len(groups) != len(want) || len(got) != len(want) {
			t.Errorf("%s: %s; want %v", path, body, want)
		}
		for _, target := range want {
			if got[target] == nil {
				t.Errorf("%s: no %s in %s", path, target, body)
			}
		}
		if labels, ok := got["10.0.0.5:8080"]; ok && !maps.Equal(labels, map[string]string{
			"__meta_sett_name": "web", "__meta_sett_id": "10.0.0.5:8080", "__meta_sett_status": "passing",
			"__meta_sett_address": "10.0.0.5", "__meta_sett_port": "8080", "__meta_sett_tags": ",a,b,",
			"__meta_sett_meta_az": "1", "__meta_sett_meta_a_z": "2", "__meta_sett_meta_path": "/m",
		}) {
			t.Errorf("labels %v", labels)
		}
	}
	for path, want := range map[string]int{"": 400, "?service=": 400, "?service=a/b": 400, "?service=a&service=b": 400, "?service=a&tag=": 400} {
		if resp, body := s.get("/sd/prometheus" + path); resp.StatusCode != want {
			t.Errorf("%q: %d %s, want %d", path, resp.StatusCode, body, want)
		}
	}
}

// A label's name is what is left of a key; of two that become one the first in
// byte order stays.
func TestTargetLabels(t *testing.T) {
	for in, want := range map[string]string{"a.b-c/é": "a_b_c__", "Az_09": "Az_09"} {
		if got := labelName(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	in := &codec.Instance{Name: "web", Meta: map[string]string{"a.b": "second", "a-b": "first", "a_b": "third"}}
	if got := targetLabels(in)["__meta_sett_meta_a_b"]; got != "first" {
		t.Errorf("the label is %q, want first", got)
	}
}
