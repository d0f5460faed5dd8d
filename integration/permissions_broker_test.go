package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// grants are the users of the tests of permissions, by what `sett permissions`
// is told about them. "sett" is the store's own.
var grants = []struct{ user, flags string }{
	{"sett", "--store"},
	{"admin", "--admin"},
	{"reader", "--read config/ --consumer reader"},
	{"writer", "--read app/x/ --write app/x/ --consumer writer"},
	{"service", "--service web --consumer service"},
}

// guarded is a NATS server whose users have what `sett permissions` prints, and
// a store that joins it as one of them.
type guarded struct {
	t     *testing.T
	url   string
	store *process
}

// guard starts both. More is put into the configuration beside the users.
func guard(t *testing.T, more string, flags ...string) *guarded {
	t.Helper()
	g := &guarded{t: t, url: configured(t, authorization(t)+more)}
	g.store = launch(t, append([]string{
		"--nats-url", g.url, "--data-dir", filepath.Join(t.TempDir(), "data"),
		"--user", "sett", "--password", "p-sett", "--inbox-prefix", "_INBOX.sett",
	}, flags...)...).mustBeReady()
	t.Cleanup(func() { // the rights of the store were enough
		if log := g.store.logged(); strings.Contains(log, "iolation") {
			t.Errorf("the store was refused something:\n%s", log)
		}
	})
	return g
}

// authorization is a block of users from the command's own output.
func authorization(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("authorization { users: [\n")
	for _, u := range grants {
		printed := command(t, nil, append([]string{"permissions", "--user", u.user}, strings.Fields(u.flags)...)...)
		if printed.status != 0 {
			t.Fatalf("sett permissions %s: %s", u.flags, printed.err)
		}
		fmt.Fprintf(&b, "{ user: %q, password: %q\n%s}\n", u.user, "p-"+u.user, printed.out)
	}
	b.WriteString("] }\n")
	return b.String()
}

// configured runs a NATS server with JetStream from a configuration file.
func configured(t *testing.T, text string, set ...func(*server.Options)) (url string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	o.JetStream, o.StoreDir = true, t.TempDir()
	for _, f := range set {
		f(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

// as connects as one of the users.
func (g *guarded) as(user string, opts ...nats.Option) *nats.Conn {
	g.t.Helper()
	opts = append([]nats.Option{nats.UserInfo(user, "p-"+user), nats.CustomInboxPrefix("_INBOX." + user)}, opts...)
	return connect(g.t, g.url, opts...)
}

// sett runs the command line as one of the users.
func (g *guarded) sett(user string, args ...string) result {
	g.t.Helper()
	flags := []string{"-s", g.url, "--user", user, "--password", "p-" + user, "--inbox-prefix", "_INBOX." + user}
	return command(g.t, nil, append(flags, args...)...)
}
