package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// What follows is as much of HTTP/2 as a gRPC client needs to ask one peer
// that behaves: net/http's takes half as long again as etcd's own client for
// each request, which would count against etcd, and etcd's own would be a
// dependency.

// Frame types and flags, RFC 9113 section 6.
const (
	frameData         = 0
	frameHeaders      = 1
	frameReset        = 3
	frameSettings     = 4
	framePing         = 6
	frameGoAway       = 7
	frameWindowUpdate = 8

	flagEndStream  = 1
	flagAck        = 1 // of settings and pings
	flagEndHeaders = 4

	settingHeaderTableSize = 1
	settingInitialWindow   = 4

	maxFrame      = 16 << 10 // payload that every peer takes
	defaultWindow = 64<<10 - 1
	ourWindow     = 1 << 30
)

const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// A call is one request in progress. A user makes one and uses it again.
type call struct {
	reply   []byte // what came so far
	done    chan error
	onReply func(b []byte) // where given, takes each part of an endless reply
}

func newCall() *call { return &call{done: make(chan error, 1)} }

// An http2Conn is one connection with many calls at a time.
type http2Conn struct {
	*pipe
	authority string

	mu      sync.Mutex
	room    sync.Cond // signalled when window grew or err was set
	window  int       // bytes that the peer still takes
	calls   map[uint32]*call
	next    uint32
	closing error

	unacknowledged int // bytes received; only the reader touches it
}

func newHTTP2Conn(address string) (*http2Conn, error) {
	p, err := newPipe(address)
	if err != nil {
		return nil, err
	}
	c := &http2Conn{pipe: p, authority: address, window: defaultWindow, calls: map[uint32]*call{}, next: 1}
	c.room.L = &c.mu
	err = c.send(func(b []byte) []byte {
		b = append(b, clientPreface...)
		b = appendFrame(b, frameSettings, 0, 0, 12)
		b = binary.BigEndian.AppendUint16(b, settingHeaderTableSize)
		b = binary.BigEndian.AppendUint32(b, 0)
		b = binary.BigEndian.AppendUint16(b, settingInitialWindow)
		b = binary.BigEndian.AppendUint32(b, ourWindow)
		b = appendFrame(b, frameWindowUpdate, 0, 0, 4)
		return binary.BigEndian.AppendUint32(b, ourWindow)
	})
	go c.read()
	return c, err
}

func appendFrame(b []byte, kind, flags byte, stream uint32, length int) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

// headers encodes what a gRPC request to a path begins with, without the
// dynamic table: the same bytes for each request.
func (c *http2Conn) headers(path string) []byte {
	b := []byte{0x83, 0x86} // :method POST, :scheme http
	literal := func(s string) { b = append(append(b, byte(len(s))), s...) }
	b = append(b, 0x04) // :path
	literal(path)
	b = append(b, 0x01) // :authority
	literal(c.authority)
	b = append(b, 0x0f, 0x10) // content-type
	literal("application/grpc")
	b = append(b, 0x00)
	literal("te")
	literal("trailers")
	return b
}

// ask sends a gRPC message and waits for its reply, which is valid until the
// call is used again.
func (c *http2Conn) ask(to *call, headers, message []byte) ([]byte, error) {
	to.reply = to.reply[:0]
	if err := c.open(to, headers, message, flagEndStream); err != nil {
		return nil, err
	}
	if err := <-to.done; err != nil {
		return nil, err
	}
	if len(to.reply) < grpcPrefix || len(to.reply) != grpcPrefix+int(binary.BigEndian.Uint32(to.reply[1:])) {
		return nil, errors.New("the reply is not one gRPC message")
	}
	return to.reply[grpcPrefix:], nil
}

// grpcPrefix is a byte for compression and the length of the message.
const grpcPrefix = 5

// open starts a call; end is flagEndStream unless more would be sent.
func (c *http2Conn) open(to *call, headers, message []byte, end byte) error {
	size := grpcPrefix + len(message)
	if size > maxFrame {
		return fmt.Errorf("a request of %d bytes would need a second frame", size)
	}
	if err := c.reserve(size); err != nil {
		return err
	}
	return c.send(func(b []byte) []byte {
		c.mu.Lock()
		stream := c.next // in the order in which the frames are sent
		c.next += 2
		c.calls[stream] = to
		c.mu.Unlock()
		b = appendFrame(b, frameHeaders, flagEndHeaders, stream, len(headers))
		b = append(b, headers...)
		b = appendFrame(b, frameData, end, stream, size)
		b = binary.BigEndian.AppendUint32(append(b, 0), uint32(len(message)))
		return append(b, message...)
	})
}

// reserve waits until the peer takes n more bytes. Its window for each stream
// is larger than any request.
func (c *http2Conn) reserve(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.window < n && c.closing == nil {
		c.room.Wait()
	}
	c.window -= n
	return c.closing
}

func (c *http2Conn) close() { c.abort(net.ErrClosed) }

// abort fails all calls in progress and all later ones.
func (c *http2Conn) abort(err error) {
	c.fail(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing == nil {
		c.closing = err
	}
	for stream, waiting := range c.calls {
		delete(c.calls, stream)
		waiting.done <- err
	}
	c.room.Broadcast()
}

// read handles what the peer sends. It ends with the connection.
func (c *http2Conn) read() {
	in := bufio.NewReaderSize(c.Conn, 64<<10)
	var payload []byte
	for {
		var head [9]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			c.abort(err)
			return
		}
		length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
		if cap(payload) < length {
			payload = make([]byte, length)
		}
		payload = payload[:length]
		if _, err := io.ReadFull(in, payload); err != nil {
			c.abort(err)
			return
		}
		if err := c.handle(head[3], head[4], binary.BigEndian.Uint32(head[5:]), payload); err != nil {
			c.abort(err)
			return
		}
	}
}

func (c *http2Conn) handle(kind, flags byte, stream uint32, payload []byte) error {
	switch kind {
	case frameData:
		c.data(stream, payload)
		if flags&flagEndStream != 0 {
			c.finish(stream, nil)
		}
		return c.acknowledge(len(payload))
	case frameHeaders:
		if flags&flagEndStream != 0 {
			c.finish(stream, payload)
		}
	case frameReset:
		c.finish(stream, payload)
	case frameSettings, framePing:
		if flags&flagAck != 0 {
			return nil
		}
		if kind == frameSettings {
			payload = nil
		}
		return c.send(func(b []byte) []byte {
			return append(appendFrame(b, kind, flagAck, 0, len(payload)), payload...)
		})
	case frameGoAway:
		return fmt.Errorf("the server went away: %q", payload)
	case frameWindowUpdate:
		if stream == 0 && len(payload) == 4 {
			c.mu.Lock()
			c.window += int(binary.BigEndian.Uint32(payload))
			c.room.Broadcast()
			c.mu.Unlock()
		}
	}
	return nil
}

func (c *http2Conn) data(stream uint32, payload []byte) {
	c.mu.Lock()
	to := c.calls[stream]
	c.mu.Unlock()
	switch {
	case to == nil:
	case to.onReply != nil:
		to.onReply(payload)
	default:
		to.reply = append(to.reply, payload...)
	}
}

// finish ends a call. gRPC answers an error with trailers alone, so a reply
// with data is a success; the trailers' compression is not undone to tell
// more, since nothing here should ever be refused.
func (c *http2Conn) finish(stream uint32, trailers []byte) {
	c.mu.Lock()
	to := c.calls[stream]
	delete(c.calls, stream)
	c.mu.Unlock()
	if to == nil {
		return
	}
	if len(to.reply) == 0 {
		to.done <- fmt.Errorf("refused; the trailers, compressed: %q", trailers)
		return
	}
	to.done <- nil
}

// acknowledge gives the peer back the room that its data took.
func (c *http2Conn) acknowledge(n int) error {
	c.unacknowledged += n
	if c.unacknowledged < 1<<20 {
		return nil
	}
	grown := uint32(c.unacknowledged)
	c.unacknowledged = 0
	return c.send(func(b []byte) []byte {
		return binary.BigEndian.AppendUint32(appendFrame(b, frameWindowUpdate, 0, 0, 4), grown)
	})
}
