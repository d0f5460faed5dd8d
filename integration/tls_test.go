package integration

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// TestAuthentication: whatever a NATS server asks for, a store joins it with
// that, an embedded one has its own store beside it, and the command line enters
// with the same flags. Whoever has nothing to show does not.
func TestAuthentication(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.server()
	userCert, userKey := ca.client("app")
	tls := func(more string) string {
		return fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q %s }\n", cert, key, ca.file, more)
	}
	public, seed := nkey(t)
	withOperator, creds := operator(t)
	mine := "--tlscert " + userCert + " --tlskey " + userKey + " --tlsca " + ca.file
	for name, c := range map[string]struct{ config, flags, wrong string }{
		"password":    {`authorization { user: u, password: p }`, "--user u --password p", "--user u --password q"},
		"token":       {`authorization { token: secret }`, "--token secret", "--token other"},
		"nkey":        {`authorization { users: [{ nkey: ` + public + ` }] }`, "--nkey " + seed, "--user u --password p"},
		"creds":       {withOperator, "--creds " + creds, "--user u --password p"},
		"tls":         {tls("") + `authorization { user: u, password: p }`, "--user u --password p --tlsca " + ca.file, "--user u --password q --tlsca " + ca.file},
		"certificate": {tls(", verify: true") + `authorization { user: u, password: p }`, "--user u --password p " + mine, "--user u --password p --tlsca " + ca.file},
		"mapped":      {tls(", verify_and_map: true") + `authorization { users: [{ user: "app@example.com" }] }`, mine, "--tlsca " + ca.file},
	} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, t.TempDir(), "nats.conf", []byte(c.config))
			embedded := []string{"--listen", "127.0.0.1:0", "--nats-config", file}
			if name == "creds" { // an operator's users are not the store's to make
				embedded = append(embedded, "--creds", creds)
			}
			joined := append([]string{"--nats-url", configured(t, c.config)}, strings.Fields(c.flags)...)
			for _, flags := range [][]string{embedded, joined} {
				p := launch(t, append(flags, "--data-dir", filepath.Join(t.TempDir(), "data"))...).mustBeReady()
				for flags, status := range map[string]int{c.flags: 0, c.wrong: -1, "": -1} {
					r := p.sett(append(strings.Fields(flags), "kv", "set", "a", "1")...)
					if status == 0 && r.status != 0 || status != 0 && r.status != 5 && r.status != 6 {
						t.Errorf("sett serve %v: kv set with %q ends with %d: %s", p.args, flags, r.status, r.err)
					}
				}
				p.stop()
			}
		})
	}
}

// TestContextFile: all of it can stand in a context of the nats command line.
func TestContextFile(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.server()
	userCert, userKey := ca.client("app")
	url := configured(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }\nauthorization { user: u, password: p }", cert, key, ca.file))
	context := writeFile(t, t.TempDir(), "context.json", fmt.Appendf(nil,
		`{"url":%q,"user":"u","password":"p","cert":%q,"key":%q,"ca":%q,"inbox_prefix":"_INBOX.u"}`, url, userCert, userKey, ca.file))
	launch(t, "--context", context, "--data-dir", filepath.Join(t.TempDir(), "data")).mustBeReady()
	if r := command(t, nil, "--context", context, "kv", "set", "a", "1"); r.status != 0 {
		t.Errorf("%d: %s", r.status, r.err)
	}
}

// TestOtherDoors: a store with an embedded server is reached over WebSocket,
// from a leaf node and from another server of its cluster.
func TestOtherDoors(t *testing.T) {
	ws, leaf, route, other := freeAddress(t), freeAddress(t), freeAddress(t), freeAddress(t)
	routed := plainServer(t, fmt.Sprintf("server_name: two\nauthorization { user: u, password: p }\ncluster { name: c, listen: %q, routes: [\"nats://r:r@%s\"], authorization { user: r, password: r } }", other, route))
	config := writeFile(t, t.TempDir(), "nats.conf", fmt.Appendf(nil, `
		server_name: one
		authorization { user: u, password: p }
		websocket { listen: %q, no_tls: true }
		leafnodes { listen: %q, authorization { user: leaf, password: l } }
		cluster { name: c, listen: %q, routes: ["nats://r:r@%s"], authorization { user: r, password: r } }
	`, ws, leaf, route, other))
	p := launch(t, "--listen", "127.0.0.1:0", "--nats-config", config, "--engine", "memory", "--feed", "live").mustBeReady()
	leafURL := plainServer(t, fmt.Sprintf(`leafnodes { remotes: [{ url: "nats://leaf:l@%s" }] }`, leaf))
	for door, url := range map[string]string{"client": p.url, "WebSocket": "ws://" + ws, "leaf node": leafURL, "cluster": routed} {
		t.Run(door, func(t *testing.T) {
			eventually(t, patience, func() error { // servers take their time to meet
				if r := command(t, nil, "-s", url, "--user", "u", "--password", "p", "kv", "set", "a", door); r.status != 0 {
					return fmt.Errorf("%d: %s", r.status, r.err)
				}
				return nil
			})
			if r := command(t, nil, "-s", url, "--user", "u", "--password", "wrong", "kv", "get", "a"); door != "leaf node" && r.status != 5 {
				t.Errorf("a wrong password: %d: %s", r.status, r.err)
			}
		})
	}
}

// plainServer runs a NATS server without JetStream from a configuration file.
func plainServer(t *testing.T, text string) (url string) {
	return configured(t, text, func(o *server.Options) { o.JetStream = false })
}

// TestOpenAddress: nobody is let in from other machines without a word.
func TestOpenAddress(t *testing.T) {
	for name, flags := range map[string][]string{
		"listen":    {"--listen", "0.0.0.0:0"},
		"any":       {"--listen", ":0"},
		"leafnodes": {"--listen", "127.0.0.1:0", "--nats-config", writeFile(t, t.TempDir(), "c", []byte(`leafnodes { listen: "0.0.0.0:-1" }`))},
		"websocket": {"--listen", "127.0.0.1:0", "--nats-config", writeFile(t, t.TempDir(), "c", []byte(`websocket { listen: "0.0.0.0:-1", no_tls: true }`))},
		"cluster":   {"--listen", "127.0.0.1:0", "--nats-config", writeFile(t, t.TempDir(), "c", []byte(`cluster { name: c, listen: "0.0.0.0:-1" }`))},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		if log := launch(t, append(flags, "--data-dir", dir)...).mustFail(); !strings.Contains(log, "would let anyone in") || !strings.Contains(log, "--nats-config") {
			t.Errorf("%s: %s", name, log)
		}
	}
}

// TestJoinEmbedded: the server inside another `sett serve` takes no second
// store from anonymous clients, and the error says what to do.
func TestJoinEmbedded(t *testing.T) {
	first := serve(t, "--engine", "memory")
	for _, flags := range [][]string{nil, {"--subject-prefix", "two"}} {
		log := launch(t, append([]string{"--engine", "memory", "--nats-url", first.url}, flags...)...).mustFail()
		for _, want := range []string{"does not let this user run a store", "sett permissions --store", "--nats-config"} {
			if !strings.Contains(log, want) {
				t.Errorf("%v: there is no %q in %s", flags, want, log)
			}
		}
		if strings.Contains(log, "SETT_CHANGES") {
			t.Errorf("%v: it has touched a stream: %s", flags, log)
		}
	}
}
