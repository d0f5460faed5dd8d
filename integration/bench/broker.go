package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// runEchoServer is "bench echo-server": a broker and, in the same process but
// on its own loopback connection, a responder that does nothing but answer.
// No store over NATS can be faster.
func runEchoServer(ctx context.Context, args []string, stderr io.Writer) error {
	fs := flag.NewFlagSet("bench echo-server", flag.ContinueOnError)
	fs.SetOutput(stderr)
	port := fs.Int("port", 4222, "port on 127.0.0.1")
	if err := fs.Parse(args); err != nil {
		return err
	}
	broker, err := startBroker(&server.Options{Port: *port})
	if err != nil {
		return err
	}
	defer broker.Shutdown()
	conn, err := nats.Connect(broker.ClientURL())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := answer(conn); err != nil {
		return err
	}
	awaitEnd(ctx)
	return nil
}

// announcedSet is the subject on which the echo also publishes an event.
const announcedSet = "announced.kv.set"

// answer subscribes the responder. A request for [announcedSet] gets an event
// after its reply: the floor of "set to event".
func answer(conn *nats.Conn) error {
	reply := []byte("an answer as long as that of a small set") // 40 bytes
	for _, subject := range []string{"kv.*", "svc.*", "batch.*"} {
		if _, err := conn.Subscribe(subject, func(m *nats.Msg) { m.Respond(reply) }); err != nil {
			return err
		}
	}
	_, err := conn.Subscribe(announcedSet, func(m *nats.Msg) {
		m.Respond(reply)
		conn.Publish("kv.changed.bench.echo", m.Data)
	})
	return errors.Join(err, conn.Flush())
}

// runJetStreamServer is "bench jetstream-server": a broker for JetStream KV.
func runJetStreamServer(ctx context.Context, args []string, stderr io.Writer) error {
	fs := flag.NewFlagSet("bench jetstream-server", flag.ContinueOnError)
	fs.SetOutput(stderr)
	port := fs.Int("port", 4222, "port on 127.0.0.1")
	dir := fs.String("data-dir", "", "where the streams are kept")
	always := fs.Bool("sync-always", false, "sync_interval: always; else the default of two minutes")
	if err := fs.Parse(args); err != nil {
		return err
	}
	broker, err := startBroker(&server.Options{Port: *port, JetStream: true, StoreDir: *dir, SyncAlways: *always})
	if err != nil {
		return err
	}
	defer broker.WaitForShutdown()
	defer broker.Shutdown()
	awaitEnd(ctx)
	return nil
}

func startBroker(options *server.Options) (*server.Server, error) {
	options.Host, options.NoSigs, options.NoLog = "127.0.0.1", true, true
	broker, err := server.NewServer(options)
	if err != nil {
		return nil, err
	}
	broker.Start()
	if !broker.ReadyForConnections(requestTimeout) {
		broker.Shutdown()
		return nil, errors.New("the broker did not start listening")
	}
	return broker, nil
}

// awaitEnd waits for a signal, or for the end of the standard input where that
// is a pipe: so a server ends with the bench that started it, however that
// ended.
func awaitEnd(ctx context.Context) {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		<-ctx.Done()
		return
	}
	closed := make(chan struct{})
	go func() { // ends with the process
		io.Copy(io.Discard, os.Stdin)
		close(closed)
	}()
	select {
	case <-ctx.Done():
	case <-closed:
	}
}

// serverVersion names the broker's library, for the report.
func serverVersion() string { return "nats-server " + strings.TrimPrefix(server.VERSION, "v") }
