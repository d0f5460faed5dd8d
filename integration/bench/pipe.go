package main

import (
	"net"
	"sync"
)

// A pipe is a connection that many users write to. Like nats.go's, it gathers
// what they write while a goroutine of its own sends: one system call then
// carries many requests.
type pipe struct {
	net.Conn
	kick chan struct{}

	mu  sync.Mutex
	buf []byte
	err error // why nothing can be sent any more
}

func newPipe(address string) (*pipe, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &pipe{Conn: conn, kick: make(chan struct{}, 1)}
	go p.flush()
	return p, nil
}

// send lets encode append to the buffer, in the order of the calls, and
// returns without waiting.
func (p *pipe) send(encode func(b []byte) []byte) error {
	p.mu.Lock()
	p.buf = encode(p.buf)
	err := p.err
	p.mu.Unlock()
	select {
	case p.kick <- struct{}{}:
	default:
	}
	return err
}

// flush owns the connection's writing side. It ends after fail, which wakes it.
func (p *pipe) flush() {
	var spare []byte
	for range p.kick {
		p.mu.Lock()
		out, err := p.buf, p.err
		p.buf = spare[:0]
		p.mu.Unlock()
		if err != nil {
			return
		}
		if _, err := p.Write(out); err != nil {
			p.fail(err)
		}
		spare = out
	}
}

// fail makes every later send fail, and closes the connection.
func (p *pipe) fail(err error) {
	p.mu.Lock()
	if p.err == nil {
		p.err = err
	}
	p.mu.Unlock()
	p.Conn.Close()
	select {
	case p.kick <- struct{}{}:
	default:
	}
}
