package main

import (
	"bytes"
	"cmp"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// inProcess gives connections to a broker of the same process. The broker's own
// are pipes, on which each write waits for its reader: the store would wait for
// a broker that is busy with others, and hold its connection's lock meanwhile.
// These have a buffer for each direction, as a socket has, without its system
// calls and the wake-ups of its readers: that is a fifth more sets of one client.
type inProcess struct{ broker *server.Server }

// InProcessConn implements [nats.InProcessConnProvider].
func (p inProcess) InProcessConn() (net.Conn, error) {
	pipe, err := p.broker.InProcessConn()
	if err != nil {
		return nil, err
	}
	return newBufferedConn(pipe), nil
}

// bufferedConn is a connection whose writes do not wait for their reader. What
// was written before Close still arrives.
type bufferedConn struct {
	net.Conn // the pipe
	in, out  *flow
}

// copySize is the most that the broker writes at a time.
const copySize = 64 << 10

func newBufferedConn(pipe net.Conn) *bufferedConn {
	c := &bufferedConn{Conn: pipe, in: newFlow(), out: newFlow()}
	go func() {
		_, err := io.CopyBuffer(c.in, pipe, make([]byte, copySize))
		c.in.end(err)
	}()
	go func() {
		_, err := io.CopyBuffer(pipe, c.out, make([]byte, copySize))
		c.out.end(err)
		_ = pipe.Close()
	}()
	return c
}

// Read implements [net.Conn].
func (c *bufferedConn) Read(p []byte) (int, error) { return c.in.read(p, true) }

// Write implements [net.Conn].
func (c *bufferedConn) Write(p []byte) (int, error) { return c.out.write(p, true) }

// Close implements [net.Conn].
func (c *bufferedConn) Close() error {
	c.in.end(net.ErrClosed)
	c.out.end(net.ErrClosed)
	return nil
}

// SetDeadline implements [net.Conn].
func (c *bufferedConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements [net.Conn].
func (c *bufferedConn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(t) }

// SetWriteDeadline implements [net.Conn].
func (c *bufferedConn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(t) }

// flow is one direction of a connection: bytes that were written and not read.
// One side of it is the connection's own, which keeps to the deadline, and the
// other goes on for as long as the pipe does.
type flow struct {
	mu       sync.Mutex
	moved    *sync.Cond // bytes came or went, the end came, or another deadline
	waiting  bytes.Buffer
	ended    error     // writing fails with it, and reading once nothing waits
	deadline time.Time // zero: none
}

// flowSize is how many bytes may wait before a write does.
const flowSize = 1 << 20

func newFlow() *flow {
	f := &flow{}
	f.moved = sync.NewCond(&f.mu)
	return f
}

func (f *flow) Read(p []byte) (int, error)  { return f.read(p, false) }
func (f *flow) Write(p []byte) (int, error) { return f.write(p, false) }

// read takes what waits. The connection's own reader first lets others write
// more: it is woken by the first write, not as a socket's is when there is
// nothing else to do, and under load it would read message by message.
func (f *flow) read(p []byte, own bool) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for yielded := !own; ; {
		switch {
		case f.waiting.Len() > 0 && yielded:
			f.moved.Broadcast()
			return f.waiting.Read(p)
		case f.waiting.Len() > 0:
			f.mu.Unlock()
			runtime.Gosched()
			f.mu.Lock()
			yielded = true
		case f.ended != nil:
			return 0, f.ended
		default:
			if err := f.wait(own); err != nil {
				return 0, err
			}
		}
	}
}

func (f *flow) write(p []byte, own bool) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.ended == nil && f.waiting.Len() > 0 && f.waiting.Len()+len(p) > flowSize {
		if err := f.wait(own); err != nil {
			return 0, err
		}
	}
	if f.ended != nil {
		return 0, f.ended
	}
	f.moved.Broadcast()
	return f.waiting.Write(p)
}

// wait waits until something has moved. The caller holds mu.
func (f *flow) wait(own bool) error {
	if own && !f.deadline.IsZero() {
		left := time.Until(f.deadline)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		defer time.AfterFunc(left, f.wake).Stop()
	}
	f.moved.Wait()
	return nil
}

func (f *flow) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moved.Broadcast()
}

func (f *flow) setDeadline(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deadline = t
	f.moved.Broadcast() // who waits with the deadline before
	return nil
}

// end lets what waits be read, and nothing more be written. nil is the end of
// what the other side had to say.
func (f *flow) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended == nil {
		f.ended = cmp.Or(err, io.EOF)
	}
	f.moved.Broadcast()
}
