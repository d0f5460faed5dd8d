package engine

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	// mappedMost is how much of the tables may count as memory of the process.
	// Badger reads them through memory maps, where every page that was read
	// stays until the kernel wants it for something else: with ten million keys
	// nearly 2 GiB, which a limit on the process's memory would have to allow.
	mappedMost = 128 << 20
	// mappedEvery is how often it is looked at: opening a store, compaction, and
	// clients who read everywhere map about 1 GiB a second.
	mappedEvery = 100 * time.Millisecond
)

// tendPages gives the tables' pages back whenever there are many, until stop is
// closed.
func (b *badgerBackend) tendPages(stop <-chan struct{}) {
	ticker := time.NewTicker(mappedEvery)
	defer ticker.Stop()
	kept := mappedFiles() // what is no table's: the program, logs
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if mappedFiles() > kept+mappedMost && b.gate.enter() {
			b.releasePages()
			b.gate.leave()
			kept = mappedFiles()
		}
	}
}

// mappedFiles is how many bytes of files count as memory of the process; 0 where
// the kernel does not tell.
func mappedFiles() int64 {
	statm, _ := os.ReadFile("/proc/self/statm") // pages: size, resident, of files, ...
	if fields := bytes.Fields(statm); len(fields) > 2 {
		pages, _ := strconv.ParseInt(string(fields[2]), 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}

// releasePages takes the tables' pages out of the process. They stay in the
// kernel's cache, where the next read finds them: a shared map loses nothing,
// not even what is not yet written to the disk. Other memory at the same
// addresses would; so the tables are held until the end, and what is mapped is
// looked up when they are.
func (b *badgerBackend) releasePages() {
	b.holdTables(func(held map[string]bool) {
		dir, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", b.lock.Fd()))
		if err != nil {
			return
		}
		for m := range mappings() {
			if m.shared && filepath.Dir(m.path) == dir && held[filepath.Base(m.path)] {
				m.release()
			}
		}
	})
}

// mapping is a piece of the process's memory.
type mapping struct {
	from, to uintptr
	shared   bool
	path     string // of the file that it shows; "": of none
}

// mappings are those of this process.
func mappings() iter.Seq[mapping] {
	return func(yield func(mapping) bool) {
		maps, _ := os.ReadFile("/proc/self/maps")
		for line := range strings.Lines(string(maps)) {
			if m, ok := parseMapping(line); ok && !yield(m) {
				return
			}
		}
	}
}

// release takes the pages of a shared map of a file out of the process.
func (m mapping) release() {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED)
}

// replace puts empty memory in the place of all but the first bytes, which are
// whole pages. The file keeps what it has.
func (m mapping) replace(but int) error {
	_, _, errno := syscall.Syscall6(syscall.SYS_MMAP, m.from+uintptr(but), m.to-m.from-uintptr(but),
		syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_FIXED, ^uintptr(0), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// bytes is the memory itself: valid as long as it is mapped.
func (m mapping) bytes() []byte {
	at := *(*unsafe.Pointer)(unsafe.Pointer(&m.from)) // which is none of Go's
	return unsafe.Slice((*byte)(at), m.to-m.from)
}

// parseMapping reads the line of a mapping in /proc/self/maps:
//
//	7f5c1ad26000-7f5c1ed2e000 rw-s 00000000 fe:00 247278    /path of the file
func parseMapping(line string) (m mapping, ok bool) {
	from, rest, _ := strings.Cut(line, "-")
	to, rest, _ := strings.Cut(rest, " ")
	perms, rest, _ := strings.Cut(rest, " ")
	begin, err := strconv.ParseUint(from, 16, 64)
	end, endErr := strconv.ParseUint(to, 16, 64)
	if err != nil || endErr != nil || perms == "" {
		return m, false
	}
	m = mapping{from: uintptr(begin), to: uintptr(end), shared: strings.HasSuffix(perms, "s")}
	if at := strings.IndexByte(rest, '/'); at >= 0 {
		m.path = strings.TrimSuffix(rest[at:], "\n")
	}
	return m, true
}
