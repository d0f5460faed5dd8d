package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// runServer runs a NATS server in the test's own process until the test ends;
// with a directory it has JetStream.
func runServer(t testing.TB, address, dir string, edit ...func(*server.Options)) *server.Server {
	t.Helper()
	host, port := split(t, address)
	o := &server.Options{Host: host, Port: port, JetStream: dir != "", StoreDir: dir, NoSigs: true, NoLog: true}
	for _, f := range edit {
		f(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatalf("the server on %s is not ready", address)
	}
	t.Cleanup(func() { shutdown(s) })
	return s
}

func shutdown(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

func split(t testing.TB, address string) (host string, port int) {
	t.Helper()
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// feedMode is what the store says of its feed.
func feedMode(t testing.TB, nc *nats.Conn) any {
	t.Helper()
	return must(t, nc, "store.status", "")["feed"].(obj)["mode"]
}

// TestBrokerWithoutJetStream: at the first start the broker decides between
// durable and live, and it stays so until a flag says otherwise.
func TestBrokerWithoutJetStream(t *testing.T) {
	t.Parallel() // it mostly waits
	address, dir := freeAddress(t), t.TempDir()
	flags := []string{"--nats-url", "nats://" + address, "--data-dir", t.TempDir()}
	step := func(jetStream bool, more ...string) (*server.Server, *process, *nats.Conn) {
		on := ""
		if jetStream {
			on = dir
		}
		s := runServer(t, address, on)
		p := launch(t, append(flags, more...)...).mustBeReady()
		return s, p, p.connect(nats.NoReconnect())
	}
	end := func(s *server.Server, p *process) {
		p.stop()
		shutdown(s)
	}

	s, p, nc := step(false)
	if mode := feedMode(t, nc); mode != "live" {
		t.Errorf("the first feed is %v", mode)
	}
	setMany(t, nc, "live", 5)
	end(s, p)

	s, p, nc = step(true)
	if mode := feedMode(t, nc); mode != "live" {
		t.Errorf("the feed became %v by itself", mode)
	}
	end(s, p)

	s, p, nc = step(true, "--feed", "durable")
	set(t, nc, "durable", "1")
	if events := wholeStream(t, nc); len(events) != 2 || events[0].Reason != "gap" || events[0].Revision != 6 {
		t.Errorf("the stream begins with %d events: %v", len(events), events)
	}
	end(s, p)

	s, p, nc = step(false)
	if err := checkError(ask(t, nc, "kv.set", []byte(`{"key":"a","value":"1"}`)), "unavailable"); err != nil {
		t.Error(err)
	}
	status := must(t, nc, "store.status", "")
	if reasons, _ := status["reasons"].(list); status["ready"] != false || !strings.Contains(fmt.Sprint(reasons), "stream") {
		t.Errorf("the status without JetStream: %v", status)
	}
	if value, _, _ := get(t, nc, "durable"); value != "1" {
		t.Errorf("reads do not go on: %q", value)
	}
	end(s, p)

	s, p, nc = step(false, "--feed", "live")
	set(t, nc, "live", "1")
	end(s, p)

	s, p, nc = step(true, "--feed", "durable")
	last := set(t, nc, "durable", "2")
	if events := wholeStream(t, nc); events[len(events)-2].Reason != "gap" || events[len(events)-2].Revision != last-1 {
		t.Errorf("durable again: the stream ends with %v", events[len(events)-1])
	}
	end(s, p)
}

// startCluster runs three servers in this process, each with a directory, and
// returns them when they have a leader.
func startCluster(t testing.TB) (servers []*server.Server, urls string) {
	t.Helper()
	var clients, routes []string
	for range 3 {
		clients, routes = append(clients, freeAddress(t)), append(routes, freeAddress(t))
	}
	for i := range 3 {
		servers = append(servers, runServer(t, clients[i], t.TempDir(), func(o *server.Options) {
			o.ServerName = fmt.Sprint("s", i)
			o.Cluster.Name = "test"
			o.Cluster.Host, o.Cluster.Port = split(t, routes[i])
			o.Routes = server.RoutesFromStr("nats://" + strings.Join(routes, ",nats://"))
		}))
	}
	eventually(t, patience, func() error {
		for _, s := range servers {
			if s.JetStreamIsLeader() && len(s.JetStreamClusterPeers()) == 3 {
				return nil
			}
		}
		return errors.New("the cluster has no leader")
	})
	return servers, "nats://" + strings.Join(clients, ",nats://")
}

// TestLeaderChanges: the stream's leader steps down again and again under load,
// and one that is stopped for good is the last.
func TestLeaderChanges(t *testing.T) {
	servers, urls := startCluster(t)
	p := serve(t, "--listen", "", "--nats-url", urls, "--feed-replicas", "3")
	nc := connect(t, urls)
	epoch, _ := storeEpoch(t, nc)
	l := newLoad(t)
	l.start(urls, false)
	for range int(forShort(4, 20)) {
		pause(t, 300*time.Millisecond)
		eventually(t, patience, func() error { // nobody answers while there is no leader
			_, err := nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+feedStream, nil, 2*time.Second)
			return err
		})
	}
	pause(t, 300*time.Millisecond)
	l.end()
	wantEpochs(t, mustTellAll(t, nc))
	leader := streamLeader(t, nc)
	for _, s := range servers {
		if s.Name() == leader {
			shutdown(s)
		}
	}
	mustTakeWrites(t, nc)
	set(t, nc, "mark", "1")
	announcedAll(t, nc)
	l.verify(nc)
	wantEpoch(t, nc, epoch)
	p.kill()
	single := serve(t, "--listen", "", "--nats-url", urls, "--subject-prefix", "one")
	single.stop()
	if log := launch(t, append(single.args, "--feed-replicas", "3")...).mustFail(); !strings.Contains(log, "delete the stream") {
		t.Errorf("a stream that cannot get replicas: %s", log)
	}
}

func streamLeader(t testing.TB, nc *nats.Conn) string {
	t.Helper()
	return streamInfo(t, nc).Cluster.Leader
}

// TestOlderServers: a stream of theirs keeps the same promises.
func TestOlderServers(t *testing.T) {
	if !long {
		t.Skip("builds other versions of nats-server: SETT_LONG=1 runs it")
	}
	for _, version := range []string{"v2.10", "v2.11", "v2.12"} {
		t.Run(version, func(t *testing.T) {
			path := installServer(t, version)
			address, dir := freeAddress(t), t.TempDir()
			end := runBinary(t, path, address, dir)
			p := serve(t, "--listen", "", "--nats-url", "nats://"+address)
			nc := p.connect()
			if mode := feedMode(t, nc); mode != "durable" {
				t.Fatalf("the feed is %v", mode)
			}
			epoch, _ := storeEpoch(t, nc)
			check := func() {
				if version == "v2.10" { // a kill may cost it the whole stream
					wholeStream(t, nc)
					return
				}
				wantEpochs(t, mustTellAll(t, nc))
				wantEpoch(t, nc, epoch)
			}
			l := newLoad(t)
			for range 2 {
				l.start(p.url, false)
				pause(t, time.Second)
				end()
				l.interrupt()
				end = runBinary(t, path, address, dir)
				mustTakeWrites(t, nc)
				l.interrupt()
				l.end()
				l.settle()
				l.verify(nc)
				check()
			}
			p.kill()
			launch(t, p.args...).mustBeReady()
			set(t, nc, "mark", "1")
			check()
		})
	}
}

// installServer builds a version of nats-server, or skips the test where it
// cannot be had.
func installServer(t *testing.T, version string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", "github.com/nats-io/nats-server/v2@"+version)
	dir := t.TempDir()
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("nats-server %s cannot be built here: %v\n%s", version, err, out)
	}
	return filepath.Join(dir, "nats-server")
}

// runBinary runs a nats-server with JetStream until the test ends or end kills
// it.
func runBinary(t *testing.T, path, address, dir string) (end func()) {
	t.Helper()
	host, port := split(t, address)
	cmd := exec.Command(path, "-a", host, "-p", strconv.Itoa(port), "-js", "-sd", dir)
	dieWithUs(cmd)
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	end = func() {
		cmd.Process.Kill() // fails where it has ended
		<-exited
	}
	t.Cleanup(end)
	eventually(t, patience, func() error {
		nc, err := nats.Connect("nats://" + address)
		if err == nil {
			nc.Close()
		}
		return err
	})
	return end
}
