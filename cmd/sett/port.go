package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/settkv/sett/subjects"
)

// checkPort says clearly what is wrong with a port that is taken: most often
// there is a NATS server already, which the store could join.
func checkPort(opts *server.Options, prefix subjects.Prefix) error {
	port := opts.Port
	if port == 0 {
		port = server.DEFAULT_PORT
	}
	if port == server.RANDOM_PORT {
		return nil
	}
	address := net.JoinHostPort(opts.Host, strconv.Itoa(port))
	l, err := net.Listen("tcp", address)
	if err == nil {
		return l.Close()
	}
	const other = "choose another port with --listen HOST:PORT (0: any free one)"
	switch {
	case !errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s: %w", address, err)
	case !speaksNATS(address):
		return fmt.Errorf("cannot listen on %s: another program has this port; %s", address, other)
	case servesStore(address, prefix):
		return fmt.Errorf("a store is serving at nats://%s already: use that one, or %s and another --data-dir", address, other)
	}
	return fmt.Errorf("a NATS server is listening on %[1]s already; join it with\n\n      sett serve --nats-url nats://%[1]s\n\nor %[2]s", address, other)
}

// servesStore reports whether a store answers there.
func servesStore(address string, prefix subjects.Prefix) bool {
	nc, err := nats.Connect("nats://"+address, nats.Timeout(time.Second), nats.NoReconnect())
	if err != nil {
		return false
	}
	defer nc.Close()
	_, err = nc.Request(prefix.Wrap(subjects.StoreStatus.Subject), nil, time.Second)
	return err == nil
}

// speaksNATS reports whether a server greets as NATS servers do.
func speaksNATS(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return false
	}
	greeting, err := bufio.NewReader(conn).Peek(5)
	return err == nil && string(greeting) == "INFO "
}
