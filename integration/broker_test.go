package integration

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// brokerEnv makes the test binary a NATS server with JetStream: what it says
// is a brokerSetup. So an external broker is a process that can be killed.
const brokerEnv = "SETT_TEST_BROKER"

// brokerSetup says how an external broker runs.
type brokerSetup struct {
	Address string
	Dir     string
}

// runBroker is the whole life of such a process.
func runBroker(text string) {
	var setup brokerSetup
	if err := json.Unmarshal([]byte(text), &setup); err != nil {
		fail(err)
	}
	host, portText, err := net.SplitHostPort(setup.Address)
	if err != nil {
		fail(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		fail(err)
	}
	s, err := server.NewServer(&server.Options{
		Host: host, Port: port, JetStream: true, StoreDir: setup.Dir, NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
	})
	if err != nil {
		fail(err)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	s.Start()
	if !s.ReadyForConnections(patience) {
		fail(fmt.Errorf("the broker is not ready on %s", setup.Address))
	}
	fmt.Println("ready")
	<-end
	s.Shutdown()
	s.WaitForShutdown()
}

// fail ends the broker's process with its reason.
func fail(err error) {
	fmt.Println(err)
	os.Exit(1)
}

// broker is an external NATS server in its own process.
type broker struct {
	t      testing.TB
	cmd    *exec.Cmd
	setup  brokerSetup
	url    string
	exited chan struct{}
}

// startBroker starts a broker on a free port and waits until it serves.
func startBroker(t testing.TB) *broker {
	t.Helper()
	b := &broker{t: t, setup: brokerSetup{Address: freeAddress(t), Dir: filepath.Join(t.TempDir(), "jetstream")}}
	b.url = "nats://" + b.setup.Address
	b.start()
	t.Cleanup(func() { b.kill() }) // the last one that was started
	return b
}

// start starts the process, once more after kill.
func (b *broker) start() {
	b.t.Helper()
	self, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	setup, err := json.Marshal(b.setup)
	if err != nil {
		b.t.Fatal(err)
	}
	b.cmd = exec.Command(self)
	b.cmd.Env = append(os.Environ(), brokerEnv+"="+string(setup))
	dieWithUs(b.cmd)
	stdout, err := b.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	said, exited := make(chan string, 1), make(chan struct{})
	b.exited = exited
	cmd := b.cmd
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		said <- strings.TrimSpace(line)
		cmd.Wait()
		close(exited)
	}()
	if line := within(b.t, patience, "broker", said); line != "ready" {
		b.t.Fatalf("the broker says %q", line)
	}
}

// kill is kill -9, and waits for the end.
func (b *broker) kill() {
	b.cmd.Process.Kill() // fails where it has ended
	<-b.exited
}
