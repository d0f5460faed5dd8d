package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// byteSize is a flag for a number of bytes: 512MiB, 1GiB, 1000000.
type byteSize int64

// String implements [pflag.Value].
func (b *byteSize) String() string {
	if *b < 0 {
		return strconv.FormatInt(int64(*b), 10)
	}
	return strings.ReplaceAll(humanize.IBytes(uint64(*b)), " ", "")
}

// Set implements [pflag.Value].
func (b *byteSize) Set(text string) error {
	if text == "-1" {
		*b = -1
		return nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<60 {
		return fmt.Errorf("it must be a number of bytes, as 512MiB or 1GiB")
	}
	*b = byteSize(n)
	return nil
}

// Type implements [pflag.Value].
func (*byteSize) Type() string { return "BYTES" }
