package integration

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestSurviveOverwrites overwrites a thousand keys again and again. The directory
// stays within bounds, and lists stay as fast as they were.
func TestSurviveOverwrites(t *testing.T) {
	const keys, batch, feedBytes, samples = 1000, 100, 64 << 20, 20
	writes := 200_000
	if long {
		writes = 2_000_000
	}
	p := serve(t, "--feed-max-bytes", fmt.Sprint(feedBytes))
	nc := p.connect()
	overwrite(t, p.url, keys, keys, batch)
	before, most := listTime(t, nc, keys), int64(0)
	var curve []string
	for range samples {
		overwrite(t, p.url, writes/samples, keys, batch)
		size := diskUse(t, p.dataDir())
		most = max(most, size)
		curve = append(curve, fmt.Sprint(size>>20))
	}
	after := listTime(t, nc, keys)
	announcedAll(t, nc)
	t.Logf("%d writes over %d keys; the directory takes %s MiB; most %d MiB", writes, keys, strings.Join(curve, " "), most>>20)
	t.Logf("a list of all takes %v after one write and %v now: %.2f times", before, after, float64(after)/float64(before))
	// The stream, as much again in the outbox, two or three logs, tables before
	// they are compacted.
	if bound := int64(768 << 20); most > bound {
		t.Errorf("a directory with %d keys takes %d MiB", keys, most>>20)
	}
	if n := len(revisions(t, nc, "over/")); n != keys {
		t.Errorf("the store has %d keys", n)
	}
	p.stop()
	t.Logf("stopped, it takes %d MiB", diskUse(t, p.dataDir())>>20)
}

// revisions lists the keys below a prefix without their values.
func revisions(t testing.TB, nc *nats.Conn, prefix string) map[string]int64 {
	t.Helper()
	all, cursor := make(map[string]int64), any("")
	for cursor != nil {
		page := must(t, nc, "kv.list", fmt.Sprintf(`{"prefix":%q,"cursor":%q}`, prefix, cursor))
		for _, e := range page["entries"].(list) {
			all[e.(obj)["key"].(string)] = e.(obj)["revision"].(int64)
		}
		cursor = page["next"]
	}
	return all
}

// overwrite sends so many sets of 128 bytes in batches, from eight clients.
func overwrite(t testing.TB, url string, writes, keys, batch int) {
	t.Helper()
	var running sync.WaitGroup
	var next atomic.Int64
	failures := make(chan error, 8)
	value := strings.Repeat("v", 120)
	for range 8 {
		nc := connect(t, url)
		running.Go(func() {
			defer nc.Close()
			for at := int(next.Add(int64(batch))); at <= writes; at = int(next.Add(int64(batch))) {
				if err := setBatch(nc, at, keys, batch, value); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	running.Wait()
	select {
	case err := <-failures:
		t.Fatal(err)
	default:
	}
}

// setBatch sets as many keys as a batch has, from one on.
func setBatch(nc *nats.Conn, at, keys, batch int, value string) error {
	var ops []string
	for i := range batch {
		ops = append(ops, fmt.Sprintf(`{"op":"kv.set","key":"over/%d","value":"%d %s"}`, (at+i)%keys, at+i, value))
	}
	m, err := nc.Request("batch.apply", fmt.Appendf(nil, `{"ops":[%s]}`, strings.Join(ops, ",")), patience)
	if err != nil {
		return err
	}
	if m.Header.Get("Nats-Service-Error-Code") != "" {
		return fmt.Errorf("%s", m.Data)
	}
	return nil
}

// listTime is the least of what several lists of all keys take.
func listTime(t testing.TB, nc *nats.Conn, keys int) time.Duration {
	t.Helper()
	least := time.Hour
	for range 20 {
		begin := time.Now()
		if n := len(contents(t, nc, "over/")); n != keys {
			t.Fatalf("the list has %d keys of %d", n, keys)
		}
		least = min(least, time.Since(begin))
	}
	return least
}

// diskUse is what the files below a directory take on the disk.
func diskUse(t testing.TB, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // compacted away since
		}
		if info, err := d.Info(); err == nil {
			size += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
