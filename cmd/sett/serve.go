package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/settkv/sett/consumer"
	"github.com/settkv/sett/engine"
	"github.com/settkv/sett/subjects"
)

// serveFlags are those of `sett serve`.
type serveFlags struct {
	listen, dataDir, natsConfig, natsAccount string
	connect                                  connectFlags // its server is --nats-url
	engine                                   string
	feed                                     feedFlags
	sync                                     bool
	diskReserve                              byteSize
	backup                                   backupFlags
	crypt                                    cryptFlags
	prefix, logLevel, logFormat              string
	httpListen, cpuProfile                   string
	discover                                 bool
}

func (a *app) serveCommand() *cobra.Command {
	f := &serveFlags{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a store, with its own NATS server or on yours",
		Long: `Run a store until SIGTERM or SIGINT.

Alone it brings its own NATS server with JetStream; with --nats-url or
--context it joins yours. It keeps its data in --data-dir. Every flag can be
given in the environment too: --data-dir as SETT_DATA_DIR. NATS_URL is not
read, since it is set for other reasons.`,
		Example: `  sett serve
  sett serve --listen 127.0.0.1:4333 --data-dir /var/lib/sett
  sett serve --nats-url nats://10.0.0.5:4222 --creds sett.creds
  sett serve --engine memory --listen 127.0.0.1:0`,
		Annotations: map[string]string{ownEnv: "true"},
		Args:        noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.InheritedFlags().Changed("server") {
				return usagef(cmd, "the store joins a broker with --nats-url, not with --server")
			}
			if err := f.validate(); err != nil {
				return usagef(cmd, "%v", err)
			}
			return a.serve(cmd.Context(), f)
		},
	}
	f.add(cmd.Flags())
	return cmd
}

func (f *serveFlags) add(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&f.listen, "listen", "", "`HOST:PORT` of the embedded NATS server (default "+defaultListen+"; port 0: any free one)")
	fs.StringVar(&f.dataDir, "data-dir", "./sett-data", "`DIR` for all data")
	fs.StringVar(&f.engine, "engine", engine.Badger, "`KIND` of engine: badger (on disk) or memory (gone at the end)")
	fs.BoolVar(&f.sync, "sync", true, "acknowledge a write when the disk has it; =false is faster, and a power loss may lose the last writes")
	fs.Var(&f.diskReserve, "disk-reserve", "writes are unavailable while less is free on the disk of --data-dir (0B: 128MiB and as much as the data take, up to 1GiB more)")
	f.feed.add(fs)
	f.backup.add(fs)
	f.crypt.add(fs)
	fs.StringVar(&f.prefix, "subject-prefix", "", "a `TOKEN` that all subjects begin with: prod makes kv.set prod.kv.set")
	fs.StringVar(&f.natsConfig, "nats-config", "", "configuration `FILE` of nats-server for the embedded one")
	fs.StringVar(&f.natsAccount, "nats-account", "", "the `ACCOUNT` in it to serve (default: that of no_auth_user, else $G)")
	fs.StringVar(&f.connect.server, "nats-url", "", "join the NATS servers at these `URL`s instead of running one")
	fs.StringVar(&f.httpListen, "http-listen", "", "`HOST:PORT` for metrics and health, without authentication: /metrics, /readyz, /livez, /sd/prometheus (default: none)")
	fs.BoolVar(&f.discover, "discover-services", false, "register the NATS services (nats micro) of the account by themselves")
	fs.StringVar(&f.cpuProfile, "cpu-profile", "", "write a profile of the processor's time, from start to stop, into this `DIR` (default: none)")
	fs.StringVar(&f.logLevel, "log-level", "info", "`LEVEL`: debug, info, warn or error")
	fs.StringVar(&f.logFormat, "log-format", "auto", "`FORMAT`: auto (text on a terminal, else json), text or json")
	fs.VisitAll(func(flag *pflag.Flag) { fromEnv(fs, flag.Name, settEnv(flag.Name)) })
	f.connect.add(fs, settEnv)
	fs.Lookup("context").Usage = "join the NATS servers of this context (a `NAME` that nats context knows, or a file) instead of running one [$SETT_CONTEXT]"
}

// validate checks what flags must not say together, or not at all.
func (f *serveFlags) validate() error {
	switch f.engine {
	case engine.Badger, engine.Memory:
	default:
		return fmt.Errorf("--engine is %q, but must be badger or memory", f.engine)
	}
	if err := f.feed.validate(); err != nil {
		return err
	}
	if err := f.backup.validate(); err != nil {
		return err
	}
	if err := f.crypt.validate(f.engine); err != nil {
		return err
	}
	if f.dataDir == "" {
		return errors.New("--data-dir must not be empty")
	}
	if f.diskReserve < 0 {
		return errors.New("--disk-reserve must not be negative")
	}
	if f.joins() {
		for name, value := range map[string]string{"listen": f.listen, "nats-config": f.natsConfig, "nats-account": f.natsAccount} {
			if value != "" {
				return fmt.Errorf("--%s is for the embedded NATS server, and --nats-url or --context joins another", name)
			}
		}
	}
	if err := subjects.Prefix(f.prefix).Validate(); err != nil {
		return fmt.Errorf("--%s", strings.TrimPrefix(err.Error(), "invalid: "))
	}
	return nil
}

// joins reports whether the store joins a broker that runs already.
func (f *serveFlags) joins() bool { return f.connect.server != "" || f.connect.context != "" }

// serve runs a store until ctx ends. It closes in the order in which messages
// flow: consumer, engine, connections, broker.
func (a *app) serve(ctx context.Context, f *serveFlags) error {
	log, err := newLogger(a.stderr, f.logLevel, f.logFormat)
	if err != nil {
		return &usageError{"sett serve", err.Error()}
	}
	privateFiles()
	defer tuneMemory()()
	endProfile, err := startProfile(f.cpuProfile)
	if err != nil {
		return err
	}
	defer endProfile()
	shown := &monitor{flags: f}
	web, err := startHTTP(f.httpListen, shown, log)
	if err != nil {
		return err
	}
	defer web.stop() // last, so that whoever looks sees the store stop
	link, err := f.link(log)
	if err != nil {
		return err
	}
	defer link.close()
	// The engine locks the data directory, so it opens before a broker writes.
	store, err := f.openEngine(log, &shown.engine)
	if err != nil {
		return err
	}
	defer store.Close() // does nothing where it is closed below
	shown.opened(store)
	if err := link.encrypt(store.Secret("broker"), log); err != nil {
		return err
	}
	if err := link.connect(log); err != nil {
		return err
	}
	shown.link.Store(link)
	defer context.AfterFunc(ctx, func() { log.Info("stopping") })()
	endBackups := f.backup.start(ctx, store, &shown.backups, log)
	err = consumer.Run(ctx, consumer.Options{
		Conn: link.conn, Feed: link.feed, Interest: link.broker.interest(), Store: store, StoreID: store.Status().StoreID,
		Prefix: subjects.Prefix(f.prefix), Version: versionName(), Log: log,
		Stats: &shown.serving, Figures: shown.figures, Discover: f.discover,
		FeedMode: f.feed.mode, Stream: f.feed.stream(link.broker != nil, f.engine == engine.Memory),
		Ready: func() { a.greet(log, f, store.FeedMode(), link.url()) },
	})
	endBackups()
	return errors.Join(err, store.Close())
}

func (f *serveFlags) openEngine(log *slog.Logger, stats *engine.Stats) (engine.Engine, error) {
	o := engine.Options{
		Kind: f.engine, Dir: f.dataDir, NoSync: !f.sync, DiskReserve: int64(f.diskReserve), Stats: stats, Version: versionName(), Log: log,
	}
	f.feed.engine(&o)
	if err := f.crypt.engine(&o, log); err != nil {
		return nil, err
	}
	f.backup.key = o.EncryptionKey
	if f.engine == engine.Memory {
		o.Dir = ""
	}
	return engine.Open(o)
}

// greet says that the store is ready, and to people how to try it.
func (a *app) greet(log *slog.Logger, f *serveFlags, feed, url string) {
	log.Info("ready", "url", url, "data_dir", f.dataDir, "feed", feed, "engine", f.engine)
	if !isTerminal(a.stdout) {
		return
	}
	name, server := "sett", ""
	if strings.HasPrefix(os.Args[0], ".") {
		name = os.Args[0] // it is not on the PATH
	}
	if url != defaultURL || otherBroker() {
		server = " -s " + url
	}
	if f.prefix != "" {
		server += " --subject-prefix " + f.prefix
	}
	name += server
	fmt.Fprintf(a.stdout, "\nTry it in another terminal:  %[1]s kv set hello world && %[1]s kv get hello   (Ctrl-C here stops the store)\n\n", name)
}

// link is how the store is connected: commands and replies on one connection,
// events on another, so that a burst of them delays no reply.
type link struct {
	flags      *connectFlags
	broker     *broker // nil where the store joins another
	conn, feed *nats.Conn
}

// link checks that there can be a connection: it joins the broker that the
// flags name, or prepares one.
func (f *serveFlags) link(log *slog.Logger) (l *link, err error) {
	l = &link{flags: &f.connect}
	if f.joins() {
		l.conn, err = l.dial("sett", log)
		if failed, ok := errors.AsType[*failure](err); ok {
			failed.joining = true
		}
		return l, err
	}
	l.broker, err = newBroker(brokerOptions{
		listen: f.listen, file: f.natsConfig, account: f.natsAccount, dir: brokerDir(f.dataDir),
		prefix: subjects.Prefix(f.prefix), hasUser: f.connect.authenticates(), log: log,
	})
	return l, err
}

// connect starts what is not there yet.
func (l *link) connect(log *slog.Logger) (err error) {
	if l.broker != nil {
		if err := l.broker.start(); err != nil {
			return err
		}
		l.flags.server = l.broker.url()
		if l.conn, err = l.dial("sett", log); err != nil {
			return err
		}
	}
	l.feed, err = l.dial("sett feed", log)
	return err
}

func (l *link) dial(name string, log *slog.Logger) (*nats.Conn, error) {
	opts := storeOptions(name, log)
	if l.broker != nil {
		opts = append(opts, l.broker.options()...)
	}
	return l.flags.dial(false, opts...)
}

// url is where clients of this machine find the store.
func (l *link) url() string {
	if l.broker != nil {
		return l.broker.url()
	}
	return l.conn.ConnectedUrlRedacted()
}

func (l *link) close() {
	for _, conn := range []*nats.Conn{l.feed, l.conn} {
		if conn != nil {
			conn.Close()
		}
	}
	if l.broker != nil {
		l.broker.stop()
	}
}

// storeOptions are those of the store's own connections, which last.
func storeOptions(name string, log *slog.Logger) []nats.Option {
	log = log.With("connection", name)
	return []nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: we closed it
				log.Warn("disconnected from the broker", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("connected to the broker again", "url", nc.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			if errors.Is(err, nats.ErrSlowConsumer) {
				return // one for each message: the consumer counts them and says so
			}
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			log.Error("the broker reports an error", "error", err, "subject", subject)
		}),
	}
}
