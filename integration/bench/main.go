// Command bench measures sett side by side with what its users would take
// instead: the broker's own echo, JetStream KV, etcd and Redis.
//
// Everything runs on this machine: each server is a process of its own, and
// the clients are another process (bench starts itself as "bench load").
// The servers take turns in short rounds, so that a change of the machine's
// speed meets all of them alike, and what counts are the ratios within a
// round. Absolute figures change with the machine.
//
//	go run ./integration/bench                   # three to four minutes
//	go run ./integration/bench --full            # about twenty
//	go run ./integration/bench --scenario set --clients 256 --rows echo,sett-live
//	go run ./integration/bench --scenario expiry     # 10,000 deadlines in one second
//	go run ./integration/bench --scenario instances  # 100,000 of them kept alive, about a minute
//	go run ./integration/bench --scenario large      # ten million keys, several GB
//
// Each table gives the median rate, the median of the ratios to one row within
// the same round, the latency, and the processor time that the server and its
// clients used for each operation. "others" is the share of the machine that
// neither of them used: if that is more than a few percent, the figures are of
// a machine that had something else to do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		os.Exit(130)
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is main without the process: the first argument chooses one of the
// roles that bench plays in its own measurement, and none of them means the
// comparison itself.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "load":
			return runLoad(ctx, args[1:], stdout, stderr)
		case "echo-server":
			return runEchoServer(ctx, args[1:], stderr)
		case "jetstream-server":
			return runJetStreamServer(ctx, args[1:], stderr)
		}
	}
	return runCompare(ctx, args, stdout, stderr)
}
