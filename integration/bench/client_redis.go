package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// redisClient speaks RESP. Its users share the connections, each waiting for
// its own reply, as those of the other rows do.
type redisClient struct {
	conns []*redisConn
}

type redisConn struct {
	*pipe
	waiting chan chan redisReply // in the order of the requests
}

// redisReply is a reply without its data: the size of a bulk string is enough
// to know that it is a value.
type redisReply struct {
	size int // of a bulk string; -1: no such key
	err  error
}

func newRedisClient(address string, conns int) (*redisClient, error) {
	c := &redisClient{}
	for range conns {
		p, err := newPipe(address)
		if err != nil {
			c.close()
			return nil, err
		}
		conn := &redisConn{pipe: p, waiting: make(chan chan redisReply, 1<<14)}
		go conn.read()
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

func (c *redisClient) close() {
	for _, conn := range c.conns {
		conn.fail(net.ErrClosed)
	}
}

// read hands out the replies in order. It ends with the connection, and then
// fails whoever still waits.
func (c *redisConn) read() {
	in := bufio.NewReaderSize(c.Conn, 64<<10)
	for {
		reply, err := readReply(in)
		if err != nil {
			c.fail(err)
			for {
				select {
				case waiter := <-c.waiting:
					waiter <- redisReply{err: err}
				default:
					return
				}
			}
		}
		(<-c.waiting) <- reply
	}
}

func readReply(in *bufio.Reader) (redisReply, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return redisReply{}, err
	}
	if len(line) < 3 {
		return redisReply{}, errors.New("the reply is not RESP")
	}
	kind, text := line[0], string(line[1:len(line)-2])
	switch kind {
	case '+', ':':
		return redisReply{}, nil
	case '-':
		return redisReply{err: errors.New("refused: " + text)}, nil
	case '$':
		size, err := strconv.Atoi(text)
		if err == nil && size >= 0 {
			_, err = in.Discard(size + len("\r\n"))
		}
		return redisReply{size: size}, err
	}
	return redisReply{}, fmt.Errorf("the reply is not RESP that was expected: %q", line)
}

// ask sends one command and waits.
func (c *redisConn) ask(reply chan redisReply, command []byte) (redisReply, error) {
	err := c.send(func(b []byte) []byte {
		c.waiting <- reply // under the lock, so that both have one order
		return append(b, command...)
	})
	if err != nil {
		return redisReply{}, err
	}
	r := <-reply
	if r.err == io.EOF {
		r.err = io.ErrUnexpectedEOF
	}
	return r, r.err
}

// appendCommand appends the head of a command; its arguments follow.
func appendCommand(b []byte, name string, args int) []byte {
	b = append(strconv.AppendInt(append(b, '*'), int64(args+1), 10), "\r\n"...)
	return appendBulk(b, []byte(name))
}

func appendBulk(b, s []byte) []byte {
	b = append(strconv.AppendInt(append(b, '$'), int64(len(s)), 10), "\r\n"...)
	return append(append(b, s...), "\r\n"...)
}

func (c *redisClient) probe() error {
	_, err := c.conns[0].ask(make(chan redisReply, 1), appendCommand(nil, "PING", 0))
	return err
}

func (c *redisClient) operation(user int, do action, w *workload) (operation, error) {
	conn, reply := c.conns[user%len(c.conns)], make(chan redisReply, 1)
	var command []byte
	switch do {
	case actSet:
		return func() (time.Time, error) {
			command = appendCommand(command[:0], "SET", 2)
			command = appendBulk(appendBulk(command, w.keyName(w.index())), w.value())
			_, err := conn.ask(reply, command)
			return time.Now(), err
		}, nil
	case actGet:
		return func() (time.Time, error) {
			command = appendBulk(appendCommand(command[:0], "GET", 1), w.keyName(w.index()))
			r, err := conn.ask(reply, command)
			if err == nil && r.size != valueSize {
				err = fmt.Errorf("GET: a value of %d bytes", r.size)
			}
			return time.Now(), err
		}, nil
	case actBatch:
		return func() (time.Time, error) {
			command = appendMSet(command[:0], w.batch(), w)
			_, err := conn.ask(reply, command)
			return time.Now(), err
		}, nil
	}
	return nil, fmt.Errorf("the Redis row has no action %q", do)
}

func appendMSet(b []byte, keys []int, w *workload) []byte {
	b = appendCommand(b, "MSET", 2*len(keys))
	for _, key := range keys {
		b = appendBulk(appendBulk(b, w.keyName(key)), w.value())
	}
	return b
}

func (c *redisClient) fill(user int, keys []int, w *workload) error {
	conn := c.conns[user%len(c.conns)]
	_, err := conn.ask(make(chan redisReply, 1), appendMSet(nil, keys, w))
	return err
}
