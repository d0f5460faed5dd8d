package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/pflag"
	"github.com/synadia-io/orbit.go/natscontext"

	"github.com/settkv/sett/codec"
	"github.com/settkv/sett/subjects"
)

const defaultURL = nats.DefaultURL

// connectFlags say how to reach and enter a NATS server. What is empty is
// taken from the context, if there is one.
type connectFlags struct {
	server, context       string
	creds, nkey           string
	user, password, token string
	cert, key, ca         string
	inboxPrefix           string
}

// natsEnv is the variable that the nats command line reads for a flag.
func natsEnv(name string) string {
	switch name {
	case "tlscert":
		return "NATS_CERT"
	case "tlskey":
		return "NATS_KEY"
	case "tlsca":
		return "NATS_CA"
	}
	return "NATS_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// add defines the flags but the server's, which has another name where it
// means another thing.
func (c *connectFlags) add(fs *pflag.FlagSet, env func(name string) string) {
	for _, f := range []struct {
		p           *string
		name, usage string
	}{
		{&c.context, "context", "a `NAME` that `nats context` knows, or a context's file"},
		{&c.creds, "creds", "credentials `FILE`"},
		{&c.user, "user", "name of the `USER`, or a token where there is no password"},
		{&c.password, "password", "the user's `PASSWORD`"},
		{&c.token, "token", "a `TOKEN` to enter with"},
		{&c.nkey, "nkey", "`FILE` with an nkey seed"},
		{&c.cert, "tlscert", "`FILE` with the client's certificate"},
		{&c.key, "tlskey", "`FILE` with its key"},
		{&c.ca, "tlsca", "`FILE` with the authorities to trust"},
		{&c.inboxPrefix, "inbox-prefix", "`SUBJECT` that replies come to, instead of _INBOX"},
	} {
		fs.StringVar(f.p, f.name, "", f.usage)
		fromEnv(fs, f.name, env(f.name))
	}
}

// authenticates reports whether the flags say who connects.
func (c *connectFlags) authenticates() bool {
	return c.creds != "" || c.user != "" || c.token != "" || c.nkey != ""
}

// options are those of the connection, to be applied after a context's: what a
// flag says replaces what the context says.
func (c *connectFlags) options() ([]nats.Option, error) {
	var opts []nats.Option
	if c.authenticates() {
		opts = append(opts, forgetUser)
	}
	switch {
	case c.creds != "":
		opts = append(opts, nats.UserCredentials(c.creds))
	case c.nkey != "":
		opt, err := nats.NkeyOptionFromSeed(c.nkey)
		if err != nil {
			return nil, fmt.Errorf("--nkey %s: %w", c.nkey, err)
		}
		opts = append(opts, opt)
	case c.token != "":
		opts = append(opts, nats.Token(c.token))
	case c.user != "" && c.password == "":
		opts = append(opts, nats.Token(c.user))
	case c.user != "":
		opts = append(opts, nats.UserInfo(c.user, c.password))
	}
	if (c.cert == "") != (c.key == "") {
		return nil, errors.New("--tlscert and --tlskey go together")
	}
	if c.cert != "" {
		opts = append(opts, nats.ClientCert(c.cert, c.key))
	}
	if c.ca != "" {
		opts = append(opts, nats.RootCAs(c.ca))
	}
	if c.inboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.inboxPrefix))
	}
	if c.server != "" {
		opts = append(opts, func(o *nats.Options) error {
			o.Servers = splitURLs(c.server)
			return nil
		})
	}
	return opts, c.present()
}

// present checks that the files are there that the flags name: what reads them
// later does not tell which it was for.
func (c *connectFlags) present() error {
	for _, f := range []struct{ flag, name string }{
		{"creds", c.creds}, {"nkey", c.nkey}, {"tlscert", c.cert}, {"tlskey", c.key}, {"tlsca", c.ca},
	} {
		if f.name == "" || f.name[0] == '~' { // which nats.go looks up
			continue
		}
		if _, err := os.Stat(f.name); err != nil { // opening would use up a pipe
			return fmt.Errorf("--%s: %w", f.flag, err)
		}
	}
	return nil
}

// forgetUser drops who the context says connects.
func forgetUser(o *nats.Options) error {
	o.User, o.Password, o.Token, o.Nkey = "", "", "", ""
	o.UserJWT, o.SignatureCB, o.TokenHandler = nil, nil, nil
	return nil
}

func splitURLs(urls string) []string {
	return strings.FieldsFunc(urls, func(r rune) bool { return r == ',' || r == ' ' })
}

// dial connects. Without a context's name it takes the one that `nats context
// select` chose, if selected says so. An error is a *usageError where there is
// nothing to try, and a *failure where that did not work.
func (c *connectFlags) dial(selected bool, more ...nats.Option) (*nats.Conn, error) {
	opts, err := c.options()
	if err != nil {
		return nil, &usageError{"sett", err.Error()}
	}
	tried := []string(nil)
	opts = append(opts, more...)
	opts = append(opts, func(o *nats.Options) error {
		tried = o.Servers
		return nil
	})
	var nc *nats.Conn
	if c.context == "" && !(selected && contextSelected()) {
		nc, err = nats.Connect(defaultURL, opts...)
	} else {
		nc, _, err = natscontext.Connect(c.context, opts...)
	}
	switch {
	case err == nil:
		return nc, nil
	case tried == nil && nc == nil && !errors.Is(err, nats.ErrNoServers):
		return nil, &usageError{"sett", err.Error()} // the context, or a file, cannot be read
	case len(tried) == 0:
		tried = []string{defaultURL}
	}
	return nil, connectFailure(redacted(tried), err)
}

// redacted joins URLs without the passwords in them.
func redacted(urls []string) string {
	shown := slices.Clone(urls)
	for i, text := range shown {
		if u, err := url.Parse(text); err == nil {
			shown[i] = u.Redacted()
		}
	}
	return strings.Join(shown, ",")
}

// connectFailure sorts out why a server could not be entered.
func connectFailure(server string, err error) error {
	f := &failure{server: server}
	if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired) {
		f.err = codec.Errorf(codec.Denied, "the NATS server at %s refuses these credentials: %v", server, err)
		return f
	}
	f.err = codec.Errorf(codec.Unavailable, "no NATS server answers at %s: %v", server, err)
	return f
}

// session is a client command's connection.
type session struct {
	app     *app
	nc      *nats.Conn
	prefix  subjects.Prefix
	timeout time.Duration
}

// open connects a client command. The caller closes the session.
func (a *app) open(more ...nats.Option) (*session, error) {
	opts := append([]nats.Option{
		nats.Name("sett"),
		nats.Timeout(a.timeout),
		nats.MaxReconnects(-1), // requests have their time-out, and who watches waits
		// Requests report what the server refuses; nats.go would print it too.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, more...)
	nc, err := a.connect.dial(true, opts...)
	if err != nil {
		return nil, err
	}
	return &session{app: a, nc: nc, prefix: subjects.Prefix(a.prefix), timeout: a.timeout}, nil
}

// lasting are the options of a connection that keeps alive what goes after a
// TTL: it finds out within about that time that the server is gone, and is soon
// back when it is there again.
func lasting(ttl time.Duration) []nats.Option {
	return []nats.Option{
		nats.PingInterval(min(max(ttl/3, time.Second), 30*time.Second)),
		nats.ReconnectWait(min(max(ttl/20, 50*time.Millisecond), 500*time.Millisecond)),
	}
}

func (s *session) close() { s.nc.Close() }

// where is the server that the session talks to, without passwords.
func (s *session) where() string { return s.nc.ConnectedUrlRedacted() }

// otherBroker reports whether client commands would go elsewhere than to the
// default URL unless they are told.
func otherBroker() bool {
	return os.Getenv("NATS_URL") != "" || os.Getenv("NATS_CONTEXT") != "" || contextSelected()
}

// contextSelected reports whether `nats context select` chose one. Where no
// home directory is known, as in a container, none is.
func contextSelected() bool {
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return false
		}
		config = filepath.Join(home, ".config")
	}
	selected, err := os.ReadFile(filepath.Join(config, "nats", "context.txt"))
	return err == nil && len(bytes.TrimSpace(selected)) > 0
}
