package main

import (
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// plainBroker runs a NATS server that is nobody's store.
func plainBroker(t *testing.T, set ...func(*server.Options)) string {
	t.Helper()
	opts := &server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()}
	for _, f := range set {
		f(opts)
	}
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("the broker does not start")
	}
	return s.ClientURL()
}

// What was written before a stop is there after it.
func TestServeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	for i := range 2 {
		p := start(t, "serve", "--listen", "127.0.0.1:-1", "--data-dir", dir)
		url := p.ready()
		if i == 0 {
			do(t, "kv set a 1 -s "+url)
		}
		step{args: "kv get a -s " + url, stdout: "1"}.check(t)
		step{args: "serve --listen 127.0.0.1:0 --data-dir " + dir, code: 1, stderr: "~another process"}.check(t)
		p.stop()
		if code := p.end(); code != 0 {
			t.Fatalf("status %d: %s", code, p.stderr)
		}
	}
	for path, mode := range map[string]os.FileMode{"": 0o700, "broker": 0o700, "store": 0o700, "identity": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v, %v; want %v", path, info, err, mode)
		}
	}
}

func TestServeJoins(t *testing.T) {
	url := plainBroker(t)
	joined := start(t, "serve", "--engine", "memory", "--nats-url", url, "--subject-prefix", "prod")
	if got := joined.ready(); got != url {
		t.Errorf("joined %s, want %s", got, url)
	}
	t.Setenv("NATS_URL", url)
	t.Setenv("SETT_SUBJECT_PREFIX", "prod")
	do(t, "kv set a/b 1")
	step{args: "kv get a/b --subject-prefix ''", code: 6, stderr: "~nobody answers"}.check(t)
	reply, err := client(t, url).Request("prod.kv.get.a.b", nil, patience)
	if err != nil || !strings.Contains(string(reply.Data), `"value":"1"`) {
		t.Errorf("%v: %s", err, reply.Data)
	}
	step{args: "serve --engine memory --nats-url " + url, code: 1, stderr: "~sett: consumer: "}.check(t)
	joined.stop()
	if code := joined.end(); code != 0 {
		t.Errorf("status %d: %s", code, joined.stderr)
	}
}

// A profile is whole when the store has stopped.
func TestServeProfile(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "serve", "--engine", "memory", "--listen", "127.0.0.1:0", "--cpu-profile", dir)
	p.ready()
	p.stop()
	if code := p.end(); code != 0 {
		t.Fatalf("status %d: %s", code, p.stderr)
	}
	files, err := filepath.Glob(filepath.Join(dir, "sett-*.pprof"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	file, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, unzip); n == 0 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestServeRefuses(t *testing.T) {
	store, plain := serveMemory(t), plainBroker(t)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	address := func(url string) string { return strings.TrimPrefix(url, "nats://") }
	dir := filepath.Join(t.TempDir(), "none")
	for _, s := range []step{
		{args: "serve --listen " + address(plain), code: 1, stderr: "~join it with\n\n      sett serve --nats-url " + plain + "\n"},
		{args: "serve --listen " + address(store), code: 1, stderr: "~a store is serving at " + store + " already"},
		{args: "serve --listen " + other.Addr().String(), code: 1, stderr: "~another program has this port"},
		{args: "serve --listen 0.0.0.0:0", code: 1, stderr: "~would let anyone in"},
		{args: "serve --listen :0", code: 1, stderr: "~would let anyone in"},
		{args: "serve --listen nonsense", code: 2, stderr: "~HOST:PORT"},
		{args: "serve --listen 127.0.0.1:99999", code: 2, stderr: "~port"},
		{args: "serve --nats-url nats://127.0.0.1:1", code: 6, stderr: "~no NATS server answers"},
		{args: "serve --context nope", code: 2, stderr: "~unknown context"},
		{args: "serve --nats-url " + plain + " --listen 127.0.0.1:0", code: 2, stderr: "~embedded"},
		{args: "serve -s " + plain, code: 2, stderr: "~--nats-url"},
		{args: "serve --feed-encoding xml", code: 2, stderr: "~--feed-encoding"},
		{args: "serve --engine sqlite", code: 2, stderr: "~--engine"},
		{args: "serve --log-level loud", code: 2, stderr: "~--log-level"},
		{args: "serve --log-format xml", code: 2, stderr: "~--log-format"},
		{args: "serve --subject-prefix _x", code: 2, stderr: "~--subject-prefix"},
		{args: "serve --nats-config /no/such/file", code: 1, stderr: "~--nats-config"},
		{args: "serve --cpu-profile /no/such/dir", code: 1, stderr: "~--cpu-profile"},
		{args: "serve x", code: 2, stderr: "~no arguments"},
	} {
		s.args += " --data-dir " + dir
		s.check(t)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a store that does not start leaves a data directory")
	}
}

// Anonymous clients of the embedded broker may not do what only the store may.
func TestAnonymous(t *testing.T) {
	url := serveMemory(t, "--subject-prefix", "p")
	denied := make(chan error, 1)
	nc := client(t, url, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	expect := func(what string, refused bool) {
		t.Helper()
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		if !refused {
			select {
			case err := <-denied:
				t.Errorf("%s: %v", what, err)
			default:
			}
			return
		}
		select {
		case err := <-denied:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(patience):
			t.Errorf("%s was allowed", what)
		}
	}
	for subject, refused := range map[string]bool{
		"p.kv.changed.a": true, "p.svc.changed.a.b": true, "p.store.changed.gap": true, "p.store.rejected.kv.set": true,
		"_sett.p.claim": true, "$JS.API.STREAM.DELETE.SETT_CHANGES_p": true,
		"p.kv.set": false, "kv.changed.a": false, "any.thing": false,
	} {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
		expect("publish "+subject, refused)
	}
	for subject, refused := range map[string]bool{"_sett.>": true, "p.kv.changed.>": false, ">": false} {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		expect("subscribe "+subject, refused)
	}
}

// config writes a configuration of nats-server.
func config(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestNATSConfig(t *testing.T) {
	const accounts = `
		accounts {
			APP { jetstream: enabled, users: [{user: app, password: pass}, {user: other, password: pass}] }
			SYS { users: [{user: sys, password: pass}] }
		}
		system_account: SYS
	`
	for name, c := range map[string]struct{ conf, serve, client, refused string }{
		"nothing":        {conf: "max_payload: 2MB", serve: "", client: ""},
		"user":           {conf: `authorization { user: u, password: p }`, client: "--user u --password p", refused: "--user u --password q"},
		"token":          {conf: `authorization { token: secret }`, client: "--token secret", refused: ""},
		"bcrypted token": {conf: `authorization { token: "$2a$04$WLr95AkvZ9c3mZTX4m/zw.kHEHzANMSSw7wzfxvmPRi6LcRvmDOXq" }`, client: "", refused: "--token x"},
		"users":          {conf: `authorization { users: [{user: u, password: p}] }`, client: "--user u --password p", refused: ""},
		"account":        {conf: accounts, serve: "--nats-account APP", client: "--user app --password pass", refused: "--user app --password x"},
		"own user":       {conf: accounts, serve: "--user other --password pass", client: "--user app --password pass", refused: ""},
		"no_auth_user":   {conf: accounts + "no_auth_user: app", client: "", refused: "--user x --password y"},
		"system only":    {conf: `accounts { SYS { users: [{user: sys, password: pass}] } }, system_account: SYS`, client: "", refused: "--user x --password y"},
	} {
		t.Run(name, func(t *testing.T) {
			url := serveMemory(t, append([]string{"--nats-config", config(t, c.conf)}, words(c.serve)...)...)
			if name != "bcrypted token" { // nobody knows it
				step{args: "kv set a 1 -s " + url + " " + c.client, stdout: "set a (revision 1, new)\n"}.check(t)
			}
			if name != "nothing" {
				step{args: "kv set a 1 -s " + url + " " + c.refused, code: 5, stderr: "~refuses these credentials"}.check(t)
			}
		})
	}
}

// A broker that speaks nothing but TLS still has its store.
func TestNATSConfigTLS(t *testing.T) {
	cert, key := selfSigned(t)
	url := serveMemory(t, "--nats-config", config(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q }", cert, key)))
	step{args: "kv set a 1 --tlsca " + cert + " -s " + url, stdout: "~new"}.check(t)
	step{args: "kv set a 1 -s " + url, code: 6, stderr: "~certificate"}.check(t)
}

// selfSigned writes a certificate for loopback, and its key.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	return write("cert.pem", "CERTIFICATE", signed), write("key.pem", "PRIVATE KEY", encoded)
}

func TestNATSConfigRefused(t *testing.T) {
	for conf, want := range map[string]string{
		`max_payload: 1000`:                                    "~max_payload",
		`listen: "0.0.0.0:-1"`:                                 "~would let anyone in",
		`websocket { port: -1, no_tls: true }`:                 "~websocket",
		`nonsense {`:                                           "~--nats-config",
		`accounts { A { users: [{user: a, password: b}] } }`:   "~no such account, only $G, A",
		`operator: "` + operatorJWT(t) + `", resolver: MEMORY`: "~--creds",
	} {
		args := "serve --engine memory --nats-account B --nats-config " + config(t, conf)
		if !strings.HasPrefix(conf, "listen") {
			args += " --listen 127.0.0.1:0"
		}
		step{args: args, code: 1, stderr: want}.check(t)
	}
}

// A user whom the broker allows little is told so at once.
func TestDenied(t *testing.T) {
	url := serveMemory(t, "--nats-config", config(t, `
		authorization { users: [
			{user: all, password: p}
			{user: app, password: p, permissions: {
				publish: ["kv.get.config.>", "kv.list.config", "batch.get.config", "svc.get.web"],
				subscribe: ["kv.changed.config.>", "store.changed.>", "_INBOX_app.>"]}}
		]}`))
	t.Setenv("NATS_URL", url)
	t.Setenv("NATS_USER", "app")
	t.Setenv("NATS_PASSWORD", "p")
	do(t, "kv set config/host 1 --user all", "kv set config/port 1 --user all")
	step{args: "kv get config/host", code: 5, stderr: "~Subscription to"}.check(t)
	t.Setenv("NATS_INBOX_PREFIX", "_INBOX_app")
	for _, s := range []step{
		{args: "kv get config/host", stdout: "1"},
		{args: "kv get config/host config/port -o raw", stdout: "1\n1\n"},
		{args: "kv list config/ -o raw", stdout: "config/host\nconfig/port\n"},
		{args: "svc get web", stderr: "no instances\n"},
		{args: "kv get other", code: 5, stderr: "~sett: kv.get: denied: "},
		{args: "kv set config/host 2", code: 5, stderr: "~kv.set.config.host"},
		{args: "kv list", code: 5, stderr: "~denied"},
		{args: "kv get config/host other", code: 5, stderr: "~denied"},
		{args: "watch", code: 5, stderr: "~denied"},
		{args: "status", code: 5, stderr: "~denied"},
		{args: "kv get config/host --password x", code: 5, stderr: "~refuses these credentials"},
	} {
		began := time.Now()
		s.check(t)
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("%s: took %v", s.args, took)
		}
	}
	p := watching(t, "config/", "--count", "1", "-o", "raw")
	do(t, "kv set config/host 2 --user all --inbox-prefix _INBOX")
	p.end()
	if !strings.Contains(p.stdout.String(), "config/host") {
		t.Errorf("watched %s", p.stdout)
	}
}

// What a store answers, or that it does not, becomes the exit status.
func TestAnswers(t *testing.T) {
	url := plainBroker(t)
	t.Setenv("NATS_URL", url)
	nc := client(t, url)
	for code, want := range map[codec.Code]int{
		codec.Overloaded: 6, codec.Unavailable: 6, codec.Internal: 7, codec.TooLarge: 2, codec.Conflict: 4,
	} {
		sub, err := nc.Subscribe("kv.*.a", func(m *nats.Msg) {
			answer := subjects.ErrorReply(m.Reply, codec.Msgpack, codec.Errorf(code, "as told"))
			if err := nc.PublishMsg(answer); err != nil {
				t.Error(err)
			}
		})
		if err == nil {
			err = nc.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		prefix := fmt.Sprintf("~sett: kv.set: %s: as told\n", code)
		step{args: "kv set a 1", code: want, stderr: prefix}.check(t)
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := nc.SubscribeSync("kv.*.a"); err != nil { // never answers
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	step{args: "kv get a --timeout 100ms", code: 6, stderr: "~kv.get: timeout"}.check(t)
	step{args: "kv set a 1 --timeout 100ms", code: 7, stderr: "~may have been applied"}.check(t)
	step{args: "status", code: 6, stderr: "~nobody answers"}.check(t)
}

// Contexts are those of the nats command line; flags go before them.
func TestContexts(t *testing.T) {
	url := serveMemory(t)
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(config, "nats", path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write("context/good.json", `{"url": "`+url+`"}`)
	broker := plainBroker(t)
	write("context/broker.json", `{"url": "`+broker+`"}`)
	write("context/bad.json", `{"url": "nats://127.0.0.1:1", "user": "nobody", "password": "x"}`)
	do(t, "kv set a 1 --context good")
	write("context.txt", "good")
	step{args: "kv get a", stdout: "1"}.check(t)
	write("context.txt", "bad")
	step{args: "kv get a", code: 6, stderr: "~nats://127.0.0.1:1"}.check(t)
	step{args: "kv get a --context good", stdout: "1"}.check(t)
	step{args: "kv get a --context " + filepath.Join(config, "nats/context/good.json"), stdout: "1"}.check(t)
	step{args: "kv get a -s " + url, code: 5, stderr: "~refuses"}.check(t)
	t.Setenv("NATS_CONTEXT", "good")
	step{args: "kv get a", stdout: "1"}.check(t)
	// serve does not take the selected context, nor NATS's environment.
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	serveMemory(t)
	p := start(t, "serve", "--engine", "memory", "--context", "broker")
	if got := p.ready(); got != broker {
		t.Errorf("joined %s, want %s", got, broker)
	}
	p.stop()
	p.end()
}

// operatorJWT is the token of an operator that nobody else knows.
func operatorJWT(t *testing.T) string {
	t.Helper()
	pair, err := nkeys.CreateOperator()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.NewOperatorClaims(public).Encode(pair)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
