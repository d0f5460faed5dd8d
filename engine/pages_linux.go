package engine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
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
		maps, _ := os.ReadFile("/proc/self/maps")
		for line := range strings.Lines(string(maps)) {
			if m, ok := parseMapping(line); ok && m.shared && filepath.Dir(m.path) == dir && held[filepath.Base(m.path)] {
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

// release takes the pages of a shared map of a file out of the process.
func (m mapping) release() {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED)
}

// parseMapping reads the line of a mapping in /proc/self/maps:
//
//	7f5c1ad26000-7f5c1ed2e000 rw-s 00000000 fe:00 247278    /path of the file
func parseMapping(line string) (m mapping, ok bool) {
	var perms string
	if n, _ := fmt.Sscanf(line, "%x-%x %s", &m.from, &m.to, &perms); n < 3 {
		return m, false
	}
	m.shared = strings.HasSuffix(perms, "s")
	if at := strings.IndexByte(line, '/'); at >= 0 {
		m.path = strings.TrimSuffix(line[at:], "\n")
	}
	return m, true
}
