package main

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// somewhatMore is more than the buffers of a connection hold.
func somewhatMore() []byte {
	data := make([]byte, 3*flowSize+12_345)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	return data
}

// writeInPieces writes data in pieces of any size.
func writeInPieces(w io.Writer, data []byte) error {
	for len(data) > 0 {
		n := min(len(data), 1+rand.IntN(200_000))
		if _, err := w.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// mustBe ends the test unless err is the one that is wanted.
func mustBe(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", what, err, want)
	}
}

// mustArrive ends the test unless got is what was sent.
func mustArrive(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes arrived that are not the %d sent", len(got), len(want))
	}
}

func TestBufferedConnKeepsOrderBothWays(t *testing.T) {
	near, far := net.Pipe()
	conn := newBufferedConn(near)
	data := somewhatMore()

	written := make(chan error, 2)
	come, gone := make(chan []byte, 1), make(chan []byte, 1)
	for _, w := range []io.Writer{conn, far} {
		go func() { written <- writeInPieces(w, data) }()
	}
	for r, to := range map[io.Reader]chan []byte{far: gone, conn: come} {
		go func() {
			got := make([]byte, len(data))
			_, _ = io.ReadFull(r, got)
			to <- got
		}()
	}
	mustArrive(t, <-gone, data)
	mustArrive(t, <-come, data)
	mustBe(t, "write", <-written, nil)
	mustBe(t, "write", <-written, nil)

	mustBe(t, "close", conn.Close(), nil)
	_, err := far.Read(make([]byte, 1))
	mustBe(t, "the peer's read after close", err, io.EOF)
}

func TestBufferedConnDeliversWhatWasWrittenBeforeClose(t *testing.T) {
	near, far := net.Pipe()
	conn := newBufferedConn(near)
	data := somewhatMore()[:flowSize]
	_, err := conn.Write(data)
	mustBe(t, "a write that no one reads yet", err, nil)
	mustBe(t, "close", conn.Close(), nil)

	_, err = conn.Write(data)
	mustBe(t, "write after close", err, net.ErrClosed)
	_, err = conn.Read(make([]byte, 1))
	mustBe(t, "read after close", err, net.ErrClosed)

	got, err := io.ReadAll(far)
	mustBe(t, "the peer's read", err, nil)
	mustArrive(t, got, data)
}

func TestBufferedConnEndsWithItsPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		conn := newBufferedConn(near)
		_, err := far.Write([]byte("the last words"))
		mustBe(t, "the peer's write", err, nil)
		mustBe(t, "the peer's close", far.Close(), nil)

		got, err := io.ReadAll(conn)
		mustBe(t, "read", err, nil)
		mustArrive(t, got, []byte("the last words"))
		_, err = conn.Write([]byte("anyone?"))
		mustBe(t, "the write that finds out", err, nil)
		synctest.Wait()
		_, err = conn.Write([]byte("anyone?"))
		mustBe(t, "the next write", err, io.ErrClosedPipe)
		mustBe(t, "close", conn.Close(), nil)
	})
}

func TestBufferedConnKeepsToDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		conn := newBufferedConn(near)
		start := time.Now()

		mustBe(t, "deadline", conn.SetDeadline(start.Add(time.Second)), nil)
		_, err := conn.Read(make([]byte, 1))
		mustBe(t, "a read of nothing", err, os.ErrDeadlineExceeded)
		if took := time.Since(start); took != time.Second {
			t.Fatalf("waited %v, the deadline was a second", took)
		}
		_, err = conn.Write(make([]byte, flowSize))
		mustBe(t, "a write with room, late", err, nil)
		_, err = conn.Write(make([]byte, flowSize))
		mustBe(t, "a write without room", err, os.ErrDeadlineExceeded)

		mustBe(t, "no deadline", conn.SetReadDeadline(time.Time{}), nil)
		failed := make(chan error)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			failed <- err
		}()
		synctest.Wait()
		mustBe(t, "deadline", conn.SetReadDeadline(time.Now().Add(time.Minute)), nil)
		mustBe(t, "a read that was waiting already", <-failed, os.ErrDeadlineExceeded)
		if took := time.Since(start); took != time.Second+time.Minute {
			t.Fatalf("waited %v, the deadline was a minute after the first", took)
		}
		mustBe(t, "the peer's close", far.Close(), nil)
		mustBe(t, "close", conn.Close(), nil)
	})
}

func TestBufferedConnWriteWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		conn := newBufferedConn(near)
		data := somewhatMore()
		written := make(chan error, 1)
		go func() { written <- writeInPieces(conn, data) }()
		synctest.Wait()
		if len(written) > 0 {
			t.Fatalf("%d bytes were taken that no one reads", len(data))
		}
		got := make([]byte, len(data))
		_, err := io.ReadFull(far, got)
		mustBe(t, "the peer's read", err, nil)
		mustBe(t, "write", <-written, nil)
		mustArrive(t, got, data)
		mustBe(t, "the peer's close", far.Close(), nil)
		mustBe(t, "close", conn.Close(), nil)
	})
}
