package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

func TestPermissions(t *testing.T) {
	t.Setenv("NATS_USER", "somebody") // is who connects, and nobody does here
	t.Setenv("NATS_INBOX_PREFIX", "_INBOX_x")
	for _, s := range []step{
		{args: "permissions --user app --read config/", stdout: "~# \"app\", a user of the store: connect with --inbox-prefix _INBOX.app\npermissions: {\n  publish: { allow: [\n    \"kv.get.config.>\" "},
		{args: "permissions --user app --read config/ -o raw", stdout: "--allow-pub kv.get.config.>,kv.list.config,kv.list.config.>,batch.get.config,batch.get.config.> " +
			"--allow-sub kv.changed.config.>,store.changed.>,_INBOX.app.>\n"},
		{args: "permissions --user app --read config/ --consumer app", stdout: "~can make JetStream delete the feed's history"},
		{args: "permissions --user ops --admin -o raw", stdout: "~ --allow-pub-response\n"},
		{args: "permissions --user app --find db --inbox-prefix mine -o raw", stdout: "--allow-pub svc.get.db --allow-sub svc.changed.db.>,store.changed.>,mine.>\n"},
		{args: "permissions --user app --find db --subject-prefix p -o raw", stdout: "--allow-pub p.svc.get.db --allow-sub p.svc.changed.db.>,p.store.changed.>,_INBOX.app.>\n"},
		{args: "permissions --user sett --store --inbox-prefix _INBOX.sett --inbox-prefix _INBOX_app -o raw", stdout: "~--allow-pub _INBOX.>,_INBOX_app.>,kv.changed.>,"},
		{args: "permissions --user sett --store -o raw --discover-services", stdout: "~,$SRV.> --allow-sub"},
		{args: "permissions --read config/", code: 2, stderr: "~--user"},
		{args: "permissions --user app", code: 2, stderr: "~--admin or --store"},
		{args: "permissions --user app --read config", code: 2, stderr: "~must end in \"/\""},
		{args: "permissions --user app --write config/ --consumer c", code: 2, stderr: "~nothing to follow"},
		{args: "permissions --user app --read config/ --consumer a.b", code: 2, stderr: "~one token"},
		{args: "permissions --user app --read config/ --discover-services", code: 2, stderr: "~--store"},
		{args: "permissions --user app --read config/ --inbox-prefix a --inbox-prefix b", code: 2, stderr: "~--store"},
		{args: "permissions --user sett --store --read config/", code: 2, stderr: "~--read is for users"},
		{args: "permissions --user app --read config/ --inbox-prefix $JS", code: 2, stderr: "~answers nobody"},
		{args: "permissions app", code: 2, stderr: "~no arguments"},
	} {
		s.check(t)
	}
}

// Every form of output says the same, and a NATS server can read it.
func TestPermissionsForms(t *testing.T) {
	args := words("permissions --user app --read config/ü/ --write app/x/ --service web --consumer app")
	table := sett(t, "", args...)
	conf := config(t, "authorization { users: [ { user: app, password: p\n"+table.stdout+"} ] }")
	opts, err := server.ProcessConfigFile(conf)
	if err != nil {
		t.Fatalf("%v\n%s", err, table.stdout)
	}
	have := opts.Users[0].Permissions
	var printed struct {
		User        string
		InboxPrefix string `json:"inbox_prefix"`
		Permissions server.Permissions
	}
	text := sett(t, "", append(args, "-o", "json")...).stdout
	if err := json.Unmarshal([]byte(text), &printed); err != nil || printed.User != "app" || printed.InboxPrefix != "_INBOX.app" {
		t.Fatalf("%v: %s", err, text)
	}
	for side, lists := range map[string][2][]string{
		"--allow-pub": {have.Publish.Allow, printed.Permissions.Publish.Allow}, "--allow-sub": {have.Subscribe.Allow, printed.Permissions.Subscribe.Allow},
	} {
		conf, json := strings.Join(lists[0], ","), strings.Join(lists[1], ",")
		if conf != json || conf == "" || !strings.Contains(sett(t, "", append(args, "-o", "raw")...).stdout, side+" "+conf) {
			t.Errorf("%s differs:\n%s\n%s", side, conf, json)
		}
	}
}
