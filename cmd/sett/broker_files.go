package main

import (
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// mostConnections is how many clients the embedded broker takes by default: no
// more than half of the files that the process may open. The rest is for the
// store, which a commit that finds none would end.
func mostConnections() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return server.DEFAULT_MAX_CONNECTIONS
	}
	return int(min(limit.Cur/2, server.DEFAULT_MAX_CONNECTIONS))
}
