package main

import (
	"io"
	"os"
)

// isTerminal reports whether people are at the other end. A character device
// is close enough, but for the one that everything is sent to.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// limited reads everything, but no more than one byte beyond limit: enough to
// find it too long.
func limited(r io.Reader, limit int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, limit+1))
}
