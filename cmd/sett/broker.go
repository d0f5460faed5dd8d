package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

// brokerOptions configure the embedded NATS server.
type brokerOptions struct {
	listen  string // host:port; "": the file's, else the default
	file    string // a configuration of nats-server, or ""
	account string // where the store's user lives, or "": where anonymous clients do
	dir     string // JetStream's
	prefix  subjects.Prefix
	hasUser bool // the store has credentials for a broker that asks for some
	log     *slog.Logger
}

const (
	defaultListen = "127.0.0.1:4222"
	brokerStart   = 10 * time.Second
	brokerSync    = time.Second // JetStream's own default is two minutes
)

// broker is the embedded NATS server.
type broker struct {
	opts   *server.Options
	server *server.Server // nil until it is started
	log    *brokerLog
	key    nkeys.KeyPair // the store's user; made at each start and never written down

	configured bool // by a file
}

// newBroker checks everything that can be wrong before a server starts.
func newBroker(o brokerOptions) (*broker, error) {
	opts, err := o.serverOptions()
	if err != nil {
		return nil, err
	}
	b := &broker{opts: opts, log: newBrokerLog(o.log), configured: o.file != ""}
	if err := b.secure(o); err != nil {
		return nil, err
	}
	return b, checkPort(opts, o.prefix)
}

// start starts the server, with JetStream, in this process.
func (b *broker) start() (err error) {
	if err := os.MkdirAll(b.opts.StoreDir, 0o700); err != nil {
		return err
	}
	if b.server, err = server.NewServer(b.opts); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	b.server.SetLoggerV2(b.log, b.opts.Debug, b.opts.Trace, b.opts.TraceVerbose)
	b.server.Start()
	return b.awaitReady()
}

func (b *broker) awaitReady() error {
	ready := make(chan bool, 1)
	go func() { ready <- b.server.ReadyForConnections(brokerStart) }() // ends by its time-out
	reason := "it is not ready after " + brokerStart.String()
	select {
	case ok := <-ready:
		if ok {
			return nil
		}
		select {
		case reason = <-b.log.fatal:
		default:
		}
	case reason = <-b.log.fatal:
	}
	return fmt.Errorf("the broker does not start: %s", reason)
}

// stop ends the server and waits until its files are closed.
func (b *broker) stop() {
	if b.server == nil {
		return
	}
	b.server.Shutdown()
	b.server.WaitForShutdown()
}

// interest tells whether anybody is subscribed to a subject of the store's
// account. nil: what a configuration may have (mappings, gateways) makes others
// get what no subscription here shows.
func (b *broker) interest() func(subject string) bool {
	if b == nil || b.configured {
		return nil
	}
	return b.server.GlobalAccount().SubscriptionInterest
}

// url is where clients of this machine find the broker.
func (b *broker) url() string {
	url := b.server.ClientURL()
	for _, all := range []string{"://0.0.0.0:", "://[::]:"} {
		url = strings.Replace(url, all, "://127.0.0.1:", 1)
	}
	return url
}

// serverOptions are those of the file, with what sett needs put over them.
func (o *brokerOptions) serverOptions() (*server.Options, error) {
	// Nearly every subject is new, that of a reply or of a change: to remember
	// who listens to it took 6 % of the processor time of a kv.set.
	opts := &server.Options{NoSublistCache: true}
	if o.file != "" {
		var err error
		if opts, err = server.ProcessConfigFile(o.file); err != nil {
			return nil, fmt.Errorf("--nats-config: %w", err)
		}
	}
	if err := o.setListen(opts); err != nil {
		return nil, err
	}
	opts.NoSigs = true // signals are ours
	opts.JetStream = true
	if opts.StoreDir == "" {
		opts.StoreDir = o.dir
	}
	if opts.SyncInterval == 0 && !opts.SyncAlways {
		opts.SyncInterval = brokerSync
	}
	if opts.MaxConn == 0 {
		opts.MaxConn = mostConnections()
	}
	if opts.MaxPayload == 0 {
		opts.MaxPayload = codec.MinPayload
	}
	if opts.MaxPayload < codec.MinPayload {
		return nil, fmt.Errorf("--nats-config: max_payload is %d, but must be at least %d", opts.MaxPayload, codec.MinPayload)
	}
	return opts, nil
}

func (o *brokerOptions) setListen(opts *server.Options) error {
	listen := o.listen
	if listen == "" && o.file == "" {
		listen = defaultListen
	}
	if listen == "" {
		if opts.Host == "" {
			opts.Host = server.DEFAULT_HOST
		}
		return nil
	}
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return &usageError{"sett serve", fmt.Sprintf("--listen is %q, but must be HOST:PORT, as %s", listen, defaultListen)}
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < -1 || port > 65535 {
		return &usageError{"sett serve", fmt.Sprintf("--listen is %q, but its port must be a number up to 65535 (0: any free one)", listen)}
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	if host == "" {
		host = server.DEFAULT_HOST // what ":4222" means elsewhere too
	}
	opts.Host, opts.Port = host, port
	return nil
}

// secure adds the store's own user, and rules for those who need no user.
func (b *broker) secure(o brokerOptions) (err error) {
	opts := b.opts
	operator := len(opts.TrustedOperators) > 0 || len(opts.TrustedKeys) > 0
	if operator && !o.hasUser {
		return errors.New("--nats-config: with an operator the store needs --creds FILE of a user of its account")
	}
	open := !operator && !authenticates(opts)
	if open {
		if err := checkLoopback(opts); err != nil {
			return err
		}
	}
	if o.hasUser && !open {
		return nil
	}
	account, err := o.storeAccount(opts)
	if err != nil {
		return err
	}
	if b.key, err = nkeys.CreateUser(); err != nil {
		return err
	}
	public, err := b.key.PublicKey()
	if err != nil {
		return err
	}
	opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: public, Account: account})
	if opts.AuthCallout != nil { // whose users are asked for nowhere else
		opts.AuthCallout.AuthUsers = append(opts.AuthCallout.AuthUsers, public)
	}
	if open {
		return admitAnonymous(opts, account, o.prefix)
	}
	return nil
}

// authenticates reports whether a configuration asks clients who they are.
// Users of the system account alone do not: clients still need none.
func authenticates(opts *server.Options) bool {
	if opts.Username != "" || opts.Authorization != "" || opts.AuthCallout != nil || opts.NoAuthUser != "" {
		return true
	}
	system := opts.SystemAccount
	if system == "" {
		system = server.DEFAULT_SYSTEM_ACCOUNT
	}
	isSystem := func(a *server.Account) bool { return a != nil && a.Name == system }
	return slices.ContainsFunc(opts.Users, func(u *server.User) bool { return !isSystem(u.Account) }) ||
		slices.ContainsFunc(opts.Nkeys, func(u *server.NkeyUser) bool { return !isSystem(u.Account) })
}

// checkLoopback refuses to let the whole network in.
func checkLoopback(opts *server.Options) error {
	for _, l := range []struct {
		what, host string
		port       int
	}{
		{"--listen", opts.Host, server.RANDOM_PORT},
		{"websocket", opts.Websocket.Host, opts.Websocket.Port},
		{"mqtt", opts.MQTT.Host, opts.MQTT.Port},
		{"leafnodes", opts.LeafNode.Host, opts.LeafNode.Port},
		{"cluster", opts.Cluster.Host, opts.Cluster.Port},
		{"gateway", opts.Gateway.Host, opts.Gateway.Port},
	} {
		ip := net.ParseIP(l.host)
		if l.port == 0 || l.host == "localhost" || ip != nil && ip.IsLoopback() {
			continue
		}
		return fmt.Errorf("%s on %q would let anyone in: bind 127.0.0.1, or configure authentication with --nats-config FILE", l.what, l.host)
	}
	return nil
}

// storeAccount finds the account that the store serves; nil is the global one.
func (o *brokerOptions) storeAccount(opts *server.Options) (*server.Account, error) {
	if o.account == "" {
		for _, u := range opts.Users {
			if u.Username == opts.NoAuthUser {
				return u.Account, nil
			}
		}
		for _, u := range opts.Nkeys {
			if u.Nkey == opts.NoAuthUser {
				return u.Account, nil
			}
		}
		return nil, nil
	}
	names := []string{server.DEFAULT_GLOBAL_ACCOUNT}
	for _, a := range opts.Accounts {
		if a.Name == o.account {
			return a, nil
		}
		names = append(names, a.Name)
	}
	if o.account == server.DEFAULT_GLOBAL_ACCOUNT {
		return nil, nil
	}
	return nil, fmt.Errorf("--nats-account %s: the configuration has no such account, only %s", o.account, strings.Join(names, ", "))
}

// admitAnonymous lets clients in that do not say who they are. They may do
// everything but what only the store may: publish its feed, see its private
// subjects, and change its streams.
func admitAnonymous(opts *server.Options, account *server.Account, prefix subjects.Prefix) error {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return err
	}
	public, err := pair.PublicKey()
	if err != nil {
		return err
	}
	private := []string{"_sett.>"}
	opts.NoAuthUser = public
	opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: public, Account: account, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Deny: append(private, storeOnly(prefix)...)},
		Subscribe: &server.SubjectPermission{Deny: private},
	}})
	return nil
}

// storeOnly lists what nobody but the store may publish, beside its private
// subjects: its events, and changes of the stream that keeps them.
func storeOnly(prefix subjects.Prefix) []string {
	var list []string
	for _, event := range subjects.Events() {
		list = append(list, prefix.Wrap(event.Subject+".>"))
	}
	for _, call := range []string{"CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "RESTORE"} {
		list = append(list, "$JS.API.STREAM."+call+"."+prefix.Stream())
	}
	return list
}

// options are those of the store's own connections, which stay in the process.
func (b *broker) options() (opts []nats.Option) {
	opts = append(opts, nats.InProcessServer(inProcess{b.server}))
	if b.key != nil {
		public, err := b.key.PublicKey()
		if err != nil {
			panic(err) // it was made by this process
		}
		opts = append(opts, nats.Nkey(public, b.key.Sign))
	}
	if b.opts.TLSConfig != nil {
		opts = append(opts, func(o *nats.Options) error {
			o.Servers = []string{"nats://in-process"} // without tls: in the URL
			return nil
		})
	}
	return opts
}

// brokerDir is where JetStream keeps its files.
func brokerDir(dataDir string) string { return filepath.Join(dataDir, "broker") }
