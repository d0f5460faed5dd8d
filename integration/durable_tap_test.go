package integration

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// tap stands between a store and its broker, and does to the connection of the
// feed what a test wants; commands and replies pass.
type tap struct {
	t      testing.TB
	broker string
	server net.Listener

	mu       sync.Mutex
	feeds    []*tapped
	holdNext bool
}

// tapped is one connection of a feed.
type tapped struct {
	store, broker net.Conn
	out, in       gate // to the broker, and from it
	gone          chan struct{}
	once          sync.Once
}

// gate lets bytes through, or holds them.
type gate struct {
	mu   sync.Mutex
	held chan struct{} // nil: open
}

func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held == nil {
		g.held = make(chan struct{})
	}
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil {
		close(g.held)
		g.held = nil
	}
}

// pass waits until the gate is open, and reports false once gone is closed.
func (g *gate) pass(gone chan struct{}) bool {
	for {
		g.mu.Lock()
		held := g.held
		g.mu.Unlock()
		if held == nil {
			return true
		}
		select {
		case <-held:
		case <-gone:
			return false
		}
	}
}

// startTap listens in front of a broker until the test ends.
func startTap(t testing.TB, broker string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &tap{t: t, broker: broker, server: l}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.cut()
		running.Wait() // the others end with their processes
	})
	return w
}

// url is where the store finds its broker.
func (w *tap) url() string { return "nats://" + w.server.Addr().String() }

// serve carries one connection. What its client says first tells whether it is
// a feed's; that, and the broker's first two answers, always pass, so that a
// feed can connect.
func (w *tap) serve(store net.Conn) {
	defer store.Close()
	broker, err := net.Dial("tcp", w.broker)
	if err != nil {
		return
	}
	defer broker.Close()
	c := &tapped{store: store, broker: broker, gone: make(chan struct{})}
	defer c.end()
	var both sync.WaitGroup
	both.Go(func() {
		defer c.end()
		carry(store, broker, &c.in, c.gone, 2)
	})
	if hello, err := greeting(store); err == nil {
		if bytes.Contains(hello, []byte(`"name":"sett feed"`)) {
			w.add(c)
		}
		if _, err = broker.Write(hello); err == nil {
			carry(broker, store, &c.out, c.gone, 0)
		}
	}
	c.end()
	both.Wait()
}

// greeting is what a client says until it asks for the first answer.
func greeting(store net.Conn) (hello []byte, err error) {
	for chunk := make([]byte, 32<<10); !bytes.Contains(hello, []byte("PING\r\n")); {
		n, err := store.Read(chunk)
		if hello = append(hello, chunk[:n]...); err != nil {
			return nil, err
		}
	}
	return hello, nil
}

func (w *tap) add(c *tapped) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.feeds = append(w.feeds, c)
	if w.holdNext {
		c.out.hold()
	}
}

// end closes both sides; what is held is lost.
func (c *tapped) end() {
	c.once.Do(func() { close(c.gone) })
	c.store.Close()
	c.broker.Close()
}

// carry copies until either side ends; the first reads pass any gate. What was
// read before the source ended is delivered once the gate lets it.
func carry(to io.Writer, from io.Reader, g *gate, gone chan struct{}, free int) {
	chunk := make([]byte, 32<<10)
	for {
		n, err := from.Read(chunk)
		if free--; free < 0 && !g.pass(gone) {
			return
		}
		if _, werr := to.Write(chunk[:n]); err != nil || werr != nil {
			return
		}
	}
}

// each does something with every feed connection so far.
func (w *tap) each(do func(*tapped)) {
	w.mu.Lock()
	feeds := w.feeds
	w.mu.Unlock()
	for _, c := range feeds {
		do(c)
	}
}

// hold keeps what the feed publishes from the broker until release; of later
// connections too if next is true.
func (w *tap) hold(next bool) {
	w.mu.Lock()
	w.holdNext = next
	w.mu.Unlock()
	w.each(func(c *tapped) { c.out.hold() })
}

// mute keeps the broker's answers from the feed.
func (w *tap) mute() { w.each(func(c *tapped) { c.in.hold() }) }

// release lets everything through again, late.
func (w *tap) release() {
	w.mu.Lock()
	w.holdNext = false
	w.mu.Unlock()
	w.each(func(c *tapped) { c.out.release(); c.in.release() })
}

// cut ends the feed's connections; what is held is lost.
func (w *tap) cut() { w.each((*tapped).end) }

// joinTapped starts a store that reaches a broker through a tap.
func joinTapped(t testing.TB, b *broker, flags ...string) (*tap, *process) {
	t.Helper()
	w := startTap(t, b.setup.Address)
	return w, serve(t, append([]string{"--listen", "", "--nats-url", w.url()}, flags...)...)
}
