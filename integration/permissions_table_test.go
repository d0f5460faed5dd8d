package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// attempts are the rows of the table: {key}, {name} and {consumer} are what is
// each user's own.
var attempts = []struct {
	about string
	rows  [][2]string // subject and payload
}{
	{"Keys", [][2]string{
		{"kv.get", `{"key":"config/host"}`},
		{"kv.get.config.host", ""},
		{"kv.get.config.host", `{"key":"config/host"}`},
		{"kv.get.config.host", `{"key":"app/y/1"}`},
		{"kv.get.config.db.user", ""},
		{"kv.get.config", ""},
		{"kv.get.config%2Fhost", ""},
		{"kv.get.config.host%2E", ""},
		{"kv.get.config.%2E%2E.app.y.1", ""},
		{"kv.get.config.*", ""},
		{"kv.get.config.>", ""},
		{"kv.get.config.%", ""},
		{"kv.get.config.%%", ""},
		{"kv.get.config.%C3%BC", ""},
		{"kv.get.config.%c3%bc", ""},
		{"kv.get.config.ü", ""},
		{"kv.get.config.u%CC%88", ""},
		{"kv.get.config.%68ost", ""},
		{"kv.get.CONFIG.host", ""},
		{"kv.get.configx.a", ""},
		{"kv.get.app.x.1", ""},
		{"kv.get.app.y.1", ""},
		{"kv.get.app.y.1", `{"key":"app/x/1"}`},
		{"kv.get.app", ""},
		{"kv.get.*.x.1", ""},
		{"kv.set", `{"key":"app/x/1","value":"2"}`},
		{"kv.set.app.x.1", `{"value":"2","return_previous":true}`},
		{"kv.set.app.x.1", `{"key":"app/y/1","value":"2"}`},
		{"kv.set.app.y.1", `{"value":"2","return_previous":true}`},
		{"kv.set.app.x%2F1", `{"value":"2"}`},
		{"kv.set.app.x", `{"value":"2"}`},
		{"kv.set.config.host", `{"value":"2","return_previous":true}`},
		{"kv.increment.app.x.n", "{}"},
		{"kv.increment.app.y.n", "{}"},
		{"kv.touch.app.x.1", "{}"},
		{"kv.touch.app.y.1", "{}"},
		{"kv.delete.app.x.n", `{"return_previous":true}`},
		{"kv.delete.app.y.1", `{"return_previous":true}`},
		{"kv.delete.config.host", `{"if_revision":1}`},
	}},
	{"Prefixes", [][2]string{
		{"kv.list", `{"return_values":true}`},
		{"kv.list", `{"prefix":"config/"}`},
		{"kv.list.config", `{"return_values":true}`},
		{"kv.list.config", `{"prefix":"config/db/"}`},
		{"kv.list.config", `{"prefix":"config"}`},
		{"kv.list.config", `{"prefix":"app/"}`},
		{"kv.list.config", `{"after":"app/","return_values":true}`},
		{"kv.list.config", `{"after":"zzz","reverse":true,"return_values":true}`},
		{"kv.list.config", `{"delimiter":"/"}`},
		{"kv.list.config", `{"delimiter":"o"}`},
		{"kv.list.config.db", `{"return_values":true}`},
		{"kv.list.app", `{"return_values":true}`},
		{"kv.list.app.x", `{"return_values":true}`},
		{"kv.list.app.y", `{"return_values":true}`},
		{"kv.list.%", "{}"},
		{"kv.clear.app.x.old", "{}"},
		{"kv.clear.app.x", `{"prefix":"app/"}`},
		{"kv.clear.app", "{}"},
		{"kv.clear.app.y", "{}"},
		{"kv.clear", `{"prefix":"app/x/old"}`},
	}},
	{"Batches", [][2]string{
		{"batch.get", `{"keys":["config/host"]}`},
		{"batch.get.config", `{"keys":["config/host","config/db/user"]}`},
		{"batch.get.config", `{"keys":["config/host","app/y/1"]}`},
		{"batch.get.config", `{"keys":["config"]}`},
		{"batch.get.app.x", `{"keys":["app/x/1"]}`},
		{"batch.apply", `{"ops":[{"op":"kv.set","key":"app/x/1","value":"3"}]}`},
		{"batch.apply.app.x", `{"ops":[{"op":"kv.set","key":"app/x/1","value":"3"}]}`},
		{"batch.apply.app.x", `{"ops":[{"op":"kv.set","key":"app/x/1","value":"3"},{"op":"kv.delete","key":"app/y/1"}]}`},
		{"batch.apply.app.x", `{"ops":[{"op":"kv.set","key":"app/x/1","value":"3"}],"if":[{"key":"app/y/1","revision":1}]}`},
		{"batch.apply.app.x", `{"ops":[{"op":"kv.set","key":"app/x/1","value":"3"}],"if":[{"name":"web","id":"1","revision":1}]}`},
		{"batch.apply.app.x", `{"ops":[{"op":"kv.set","key":"app/x","value":"3"}]}`},
		{"batch.apply.app.x", `{"ops":[{"op":"svc.register","name":"web","id":"2"}]}`},
		{"batch.apply.app.x", `{"ops":[{"op":"kv.clear","prefix":"app/"}]}`},
		{"batch.apply.app.x.deep", `{"ops":[{"op":"kv.set","key":"app/x/deep/1","value":"3"}]}`},
		{"batch.apply.app", `{"ops":[{"op":"kv.set","key":"app/x/1","value":"3"}]}`},
		{"batch.apply.app.y", `{"ops":[{"op":"kv.set","key":"app/y/1","value":"3"}]}`},
	}},
	{"Services", [][2]string{
		{"svc.register", `{"name":"web","id":"1"}`},
		{"svc.register.web", `{"id":"1","ttl_ms":60000}`},
		{"svc.register.web", `{"name":"db","id":"1"}`},
		{"svc.register.db", `{"id":"1","note":"taken over"}`},
		{"svc.register.web.x", `{"id":"1"}`},
		{"svc.register.%77eb", `{"id":"1"}`},
		{"svc.heartbeat.web", `{"id":"1"}`},
		{"svc.heartbeat.db", `{"id":"1"}`},
		{"svc.get", `{"name":"web"}`},
		{"svc.get.web", "{}"},
		{"svc.get.db", "{}"},
		{"svc.get.*", "{}"},
		{"svc.list", "{}"},
		{"svc.deregister.web", `{"id":"1"}`},
		{"svc.deregister.db", `{"id":"1"}`},
	}},
	{"The store", [][2]string{
		{"store.status", ""},
		{"store.status.x", ""},
		{"store.changed.gap", `{"epoch":9999999999999,"revision":1,"op":"changed"}`},
		{"kv.changed.config.host", `{"op":"set","key":"config/host","value":"forged"}`},
		{"_sett._.claim", `{"store_id":"x","instance":"x","started_ms":1}`},
		{"_sett._.feed.kv.changed.config.host", `{"op":"set"}`},
		{"_INBOX.sett.x", "{}"},
		{"$SRV.PING", ""},
	}},
	{"The stream of the durable feed", [][2]string{
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES.{me}.{feed}", `{"stream_name":"SETT_CHANGES","config":{"name":"{me}","filter_subject":"{feed}","ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES.{me}.{feed}", `{"stream_name":"SETT_CHANGES","config":{"name":"{me}","filter_subject":"kv.changed.>","ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES.{me}.{feed}", `{"stream_name":"SETT_CHANGES","config":{"name":"{me}","filter_subjects":["{feed}","kv.changed.>"],"ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES.{me}.{feed}", `{"stream_name":"SETT_CHANGES","config":{"name":"{me}","ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES.{me}.{feed}", `{"stream_name":"SETT_CHANGES","config":{"name":"other","filter_subject":"{feed}","ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES.{me}.{feed}", `{"stream_name":"OTHER","config":{"name":"{me}","filter_subject":"{feed}","ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES.{me}.kv.changed.>", `{"stream_name":"SETT_CHANGES","config":{"name":"{me}","filter_subject":"kv.changed.>","ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES.{me}", `{"stream_name":"SETT_CHANGES","config":{"name":"{me}","ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES.other.{feed}", `{"stream_name":"SETT_CHANGES","config":{"name":"other","filter_subject":"{feed}","ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.CREATE.SETT_CHANGES", `{"stream_name":"SETT_CHANGES","config":{"ack_policy":"none","mem_storage":true}}`},
		{"$JS.API.CONSUMER.DURABLE.CREATE.SETT_CHANGES.{me}", `{"stream_name":"SETT_CHANGES","config":{"durable_name":"{me}","ack_policy":"none"}}`},
		{"$JS.API.CONSUMER.INFO.SETT_CHANGES.{me}", ""},
		{"$JS.API.CONSUMER.INFO.SETT_CHANGES.victim", ""},
		{"$JS.API.CONSUMER.MSG.NEXT.SETT_CHANGES.victim", `{"batch":1,"no_wait":true}`},
		{"$JS.API.CONSUMER.DELETE.SETT_CHANGES.none", ""},
		{"$JS.API.CONSUMER.DELETE.SETT_CHANGES.{me}", ""},
		{"$JS.API.STREAM.INFO.SETT_CHANGES", `{"subjects_filter":">"}`},
		{"$JS.API.STREAM.NAMES", `{"subject":"kv.changed.>"}`},
		{"$JS.API.STREAM.MSG.GET.SETT_CHANGES", `{"seq":1}`},
		{"$JS.API.DIRECT.GET.SETT_CHANGES", `{"seq":1}`},
		{"$JS.API.STREAM.CREATE.SPY", `{"name":"SPY","mirror":{"name":"SETT_CHANGES"}}`},
		{"$JS.API.STREAM.UPDATE.SETT_CHANGES", `{"name":"SETT_CHANGES"}`},
		{"$JS.API.STREAM.PURGE.SETT_CHANGES", ""},
		{"$JS.API.STREAM.DELETE.SETT_CHANGES", ""},
		{"$JS.API.STREAM.SNAPSHOT.SETT_CHANGES", `{"deliver_subject":"_INBOX.{me}.x"}`},
	}},
}

// feeds are subjects to subscribe to.
var feeds = []string{
	"kv.changed.config.>", "kv.changed.config.host", "kv.changed.app.x.>", "kv.changed.app.>", "kv.changed.app.y.1", "kv.changed.>", "kv.changed.*.x.1", "kv.changed.config",
	"svc.changed.web.>", "svc.changed.db.>", "svc.changed.*.1", "store.changed.>", "store.rejected.>", "*.changed.>", ">",
	"_INBOX.{me}.>", "_INBOX.>", "_INBOX.admin.>", "_INBOX.*.>", "kv.get.>", "kv.set.app.x.1", "batch.apply", "_sett.>", "_sett._.feed.>", "$JS.EVENT.>", "$JS.API.>", "$JS.ACK.>", "$SRV.>", "$SYS.>",
}

// tenants are the columns, with the feed that each may follow. Whoever may do
// everything comes last: what the others may not is looked at before.
var tenants = []struct {
	name, feed string
	own        []string // keys and services that it may hear of, by how they begin
}{
	{"reader", "kv.changed.config.>", []string{"config/"}},
	{"writer", "kv.changed.app.x.>", []string{"app/x/"}},
	{"service", "svc.changed.web.>", []string{"web/"}},
	{"admin", "kv.changed.config.>", []string{""}},
}

// there is what the store has: each value names its key.
var there = []string{
	"config/host", "config/db/user", "config", "config/", "config/ü", "configx/a", "CONFIG/host", "app/x/1", "app/x", "app/y/1", "app", "config.host", "config//", "config/../app/y/1",
}

const tablePath = "../cmd/sett/PERMISSIONS.md"

// TestContractPermissions: what each user may do is what the table says, nobody
// hears of a key or service that is not theirs, and nobody changes one.
func TestContractPermissions(t *testing.T) {
	g := guard(t, "")
	admin := g.tenant("admin")
	for _, key := range there {
		admin.must("kv.set", fmt.Sprintf(`{"key":%q,"value":"secret of <%s>"}`, key, key))
	}
	for _, name := range []string{"web", "db"} {
		admin.must("svc.register", fmt.Sprintf(`{"name":%q,"id":"1","note":"secret of <%s/1>"}`, name, name))
	}
	admin.must("$JS.API.CONSUMER.CREATE.SETT_CHANGES.victim", `{"stream_name":"SETT_CHANGES","config":{"durable_name":"victim","name":"victim","ack_policy":"none"}}`)
	foreign := func() string { return untouched(admin) }
	before := foreign()
	results := make(map[string]string)
	for _, who := range tenants {
		u := g.tenant(who.name)
		attempt(u, who.feed, results)
		if who.name == "admin" {
			break
		}
		for key := range strings.SplitSeq(u.heard(), "secret of <") {
			if key, _, found := strings.Cut(key, ">"); found && !owns(who.own, key) {
				t.Errorf("%s was told of %s", who.name, key)
			}
		}
		if after := foreign(); after != before {
			t.Errorf("%s has changed what is not its own:\n%s\nwas\n%s", who.name, after, before)
		}
	}
	compareTable(t, permissionsTable(results))
}

// untouched is what nobody but the admin may change.
func untouched(admin *tenant) (state string) {
	admin.t.Helper()
	for _, key := range there {
		if key != "app/x/1" {
			r := admin.must("kv.get", fmt.Sprintf(`{"key":%q}`, key))
			state += fmt.Sprintf("%s %v %v\n", key, r["revision"], r["value"])
		}
	}
	r := admin.must("svc.get", `{"name":"db"}`)
	return state + fmt.Sprint(r["instances"])
}

func owns(own []string, key string) bool {
	for _, begin := range own {
		if strings.HasPrefix(key, begin) && key != begin || begin == "config/" && key == begin {
			return true
		}
	}
	return false
}

// attempt tries everything as one user. Feeds come first, so that it also hears
// what follows.
func attempt(u *tenant, feed string, results map[string]string) {
	u.t.Helper()
	own := strings.NewReplacer("{me}", u.name, "{feed}", feed)
	for _, subject := range feeds {
		results[u.name+" + "+subject] = u.follow(own.Replace(subject))
	}
	for _, group := range attempts {
		for _, row := range group.rows {
			outcome, _ := u.ask(own.Replace(row[0]), own.Replace(row[1]))
			results[u.name+" "+row[0]+" "+row[1]] = outcome
		}
	}
}

// permissionsTable writes the outcomes in Markdown.
func permissionsTable(results map[string]string) string {
	var b strings.Builder
	b.WriteString("# Who may do what\n\n" +
		"Tried on a NATS server whose users have what `sett permissions` prints, and written by the test that tried it\n" +
		"(`make golden`). The store has keys below `config/`, `app/x/` and `app/y/`, and services `web` and `db`. **yes**: done;\n" +
		"**–**: refused by the NATS server; otherwise what the store or JetStream answers. `{me}` is the user's name, and `{feed}`\n" +
		"the feed that it may follow.\n\n| user | `sett permissions --user` |\n|---|---|\n")
	for _, u := range grants {
		fmt.Fprintf(&b, "| %s | `%s %s` |\n", u.user, u.user, u.flags)
	}
	header := func(about, what string) {
		fmt.Fprintf(&b, "\n## %s\n\n| %s |", about, what)
		for _, u := range tenants {
			b.WriteString(" " + u.name + " |")
		}
		b.WriteString("\n|---|" + strings.Repeat("---|", len(tenants)) + "\n")
	}
	row := func(shown, key string) {
		b.WriteString("| " + shown + " |")
		for _, u := range tenants {
			outcome := results[u.name+" "+key]
			if outcome == allowed {
				outcome = "**yes**"
			}
			b.WriteString(" " + outcome + " |")
		}
		b.WriteString("\n")
	}
	for _, group := range attempts {
		header(group.about, "request")
		for _, r := range group.rows {
			shown := "`" + r[0] + "`"
			if r[1] != "" {
				shown += " `" + r[1] + "`"
			}
			row(shown, r[0]+" "+r[1])
		}
	}
	header("Subscriptions", "subject")
	for _, subject := range feeds {
		row("`"+subject+"`", "+ "+subject)
	}
	return b.String()
}

// compareTable compares with the file, or writes it.
func compareTable(t *testing.T, table string) {
	t.Helper()
	have, err := os.ReadFile(tablePath)
	if err == nil && string(have) == table {
		return
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(tablePath, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("PERMISSIONS.md says something else (after review: make golden)\n%s", table)
}
