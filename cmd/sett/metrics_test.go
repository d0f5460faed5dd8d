package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/settkv/sett/subjects"
)

// series are the lines of a scrape, by name and labels.
func series(t *testing.T, body string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if _, twice := all[line[:at]]; twice {
			t.Errorf("%s is there twice", line[:at])
		}
		all[line[:at]] = line[at+1:]
	}
	return all
}

func TestMetrics(t *testing.T) {
	s := serveShown(t, "--subject-prefix", "prod")
	t.Setenv("NATS_URL", s.nats)
	t.Setenv("SETT_SUBJECT_PREFIX", "prod")
	do(t, "kv set secret-key 1 --ttl 1h")
	do(t, "kv set b 2")
	do(t, "svc register web --address 10.0.0.5 --port 8080")
	step{args: "kv get none", code: 3, stderr: "~not_found"}.check(t)
	_, body := s.get("/metrics")
	got := series(t, body)
	for name, want := range map[string]string{
		`sett_requests_total{code="ok",subject="kv.set"}`:                         "2",
		`sett_requests_total{code="not_found",subject="kv.get"}`:                  "1",
		`sett_requests_total{code="ok",subject="kv.get"}`:                         "0",
		`sett_requests_total{code="internal",subject="batch.apply"}`:              "0",
		`sett_request_duration_seconds_count{subject="kv.set"}`:                   "2",
		`sett_request_duration_seconds_bucket{subject="kv.set",le="+Inf"}`:        "2",
		`sett_commit_commands_sum`:                                                "3",
		`sett_keys`:                                                               "2",
		`sett_instances`:                                                          "1",
		`sett_store_revision`:                                                     "3",
		`sett_deadlines`:                                                          "1",
		`sett_ready`:                                                              "1",
		`sett_check{check="feed"}`:                                                "1",
		`sett_connected{connection="requests"}`:                                   "1",
		`sett_broker_connections`:                                                 "2",
		`sett_queue_messages{queue="writer"}`:                                     "0",
		`sett_badger_level_tables{level="0"}`:                                     "0",
		`sett_badger_cache_misses_total{cache="block"}`:                           "",
		`sett_broker_jetstream_bytes{storage="file"}`:                             "",
		`sett_disk_free_bytes`:                                                    "",
		`sett_store_bytes`:                                                        "",
		`go_goroutines`:                                                           "",
		`sett_commit_duration_seconds_bucket{le="0.001"}`:                         "",
		`sett_expiry_lateness_seconds_bucket{le="0.1"}`:                           "0",
		`sett_request_duration_seconds_bucket{subject="store.status",le="1e-05"}`: "",
	} {
		v, ok := got[name]
		if !ok || want != "" && v != want {
			t.Errorf("%s is %q, %v; want %s", name, v, ok, want)
		}
	}
	if strings.Contains(body, "secret-key") {
		t.Error("a key stands in the metrics")
	}
	// So many series, whatever is asked for: the labels are bounded.
	perSubject, most := 0, 8+22
	for name := range got {
		if strings.Contains(name, `subject="kv.set"`) {
			perSubject++
		}
	}
	if perSubject > most || len(got) > len(subjects.All())*most+400 {
		t.Errorf("%d series, %d of them of kv.set", len(got), perSubject)
	}
}

// metricName is a name in an expression; words of PromQL have no such prefix.
var metricName = regexp.MustCompile(`\b(?:sett|go|process)_[a-z0-9_]+`)

// Everything that the dashboard and the alerts name is there.
func TestMetricsOps(t *testing.T) {
	s := serveShown(t, "--backup-dir", t.TempDir())
	_, body := s.get("/metrics")
	known := map[string]bool{}
	for name := range series(t, body) {
		name, _, _ = strings.Cut(name, "{")
		known[name] = true
	}
	var dashboard struct {
		Panels []struct{ Type, Title string }
	}
	for file, least := range map[string]int{"ops/dashboard.json": 25, "ops/alerts.yml": 10} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".json") {
			if err := json.Unmarshal(text, &dashboard); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
		names := metricName.FindAllString(string(text), -1)
		slices.Sort(names)
		names = slices.Compact(names)
		if len(names) < least {
			t.Errorf("%s names only %d metrics", file, len(names))
		}
		for _, name := range names {
			if !known[name] {
				t.Errorf("%s names %s, which /metrics has not", file, name)
			}
		}
	}
	if len(dashboard.Panels) < 20 {
		t.Errorf("the dashboard has %d panels", len(dashboard.Panels))
	}
}

// Names follow Prometheus' conventions: base units, _total for counters.
func TestMetricsNames(t *testing.T) {
	s := serveShown(t)
	_, body := s.get("/metrics")
	kinds := regexp.MustCompile(`(?m)^# TYPE (sett_\S+) (\S+)$`).FindAllStringSubmatch(body, -1)
	if len(kinds) < 30 {
		t.Errorf("%d metrics", len(kinds))
	}
	for _, k := range kinds {
		name, kind := k[1], k[2]
		if (kind == "counter") != strings.HasSuffix(name, "_total") || kind == "untyped" {
			t.Errorf("%s is a %s", name, kind)
		}
		if strings.HasSuffix(name, "_ms") || strings.Contains(name, "millis") {
			t.Errorf("%s is not in base units", name)
		}
		if !strings.Contains(body, fmt.Sprintf("# HELP %s ", name)) {
			t.Errorf("%s has no help", name)
		}
	}
}
