package integration

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// volume is a file system of its own in a file, where a test may do what
// nobody does to the disk of a machine.
type volume struct {
	t     testing.TB
	image string // the file
	dir   string // where it is mounted
}

// newVolume makes an ext4 file system of a size and mounts it until the test
// ends, or skips the test where that takes what is not there.
func newVolume(t testing.TB, image string, size int64) *volume {
	t.Helper()
	v := &volume{t: t, image: image, dir: image + ".mounted"}
	needMounts(t)
	if err := v.make(size); err != nil {
		t.Fatal(err)
	}
	if err := tool("mount", "-o", "loop", v.image, v.dir); err != nil {
		t.Skipf("a file cannot be mounted here: %v", err)
	}
	t.Cleanup(v.unmount)
	return v
}

// needMounts skips a test where file systems cannot be made and mounted.
func needMounts(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting a file system takes root")
	}
	for _, tool := range []string{"mkfs.ext4", "mount", "umount", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("making and mounting a file system takes %s", tool)
		}
	}
}

// make makes the file, full of zeros, so that a later write to it moves nothing
// else.
func (v *volume) make(size int64) error {
	f, err := os.Create(v.image)
	if err != nil {
		return err
	}
	defer f.Close()
	for zeros := make([]byte, 1<<20); size > 0; size -= int64(len(zeros)) {
		if _, err := f.Write(zeros); err != nil {
			return err
		}
	}
	return errors.Join(tool("mkfs.ext4", "-q", "-F", "-m", "0", v.image), f.Sync(), os.MkdirAll(v.dir, 0o700))
}

func (v *volume) mount() {
	v.t.Helper()
	if err := tool("mount", "-o", "loop", v.image, v.dir); err != nil {
		v.t.Fatal(err)
	}
}

// unmount leaves alone what is not mounted.
func (v *volume) unmount() {
	for syscall.Unmount(v.dir, 0) == nil {
	}
}

// shut ends the file system as a power cut does: what it has not written it
// never will, its log included, and whoever writes or syncs gets an error. It
// skips the test where the kernel cannot do that.
func (v *volume) shut() {
	v.t.Helper()
	const ioctlShutdown, noLogFlush = 0x8004587d, 2
	f, err := os.Open(v.dir)
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	how := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&how))); errno != 0 {
		v.t.Skipf("this file system cannot be shut down: %v", errno)
	}
}

// free is what the file system has left.
func (v *volume) free() int64 {
	v.t.Helper()
	var stat syscall.Statfs_t
	if err := syscall.Statfs(v.dir, &stat); err != nil {
		v.t.Fatal(err)
	}
	return int64(stat.Bavail) * stat.Bsize
}

// fill has a file take all but so many bytes, as another program would, and
// returns its name.
func (v *volume) fill(leave int64) string {
	v.t.Helper()
	f, err := os.CreateTemp(v.dir, "filler-")
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	for try := 0; v.free() > leave+1<<20 && try < 10; try++ {
		info, err := f.Stat()
		if err != nil {
			v.t.Fatal(err)
		}
		err = syscall.Fallocate(int(f.Fd()), 0, info.Size(), v.free()-leave)
		if err != nil && !errors.Is(err, syscall.ENOSPC) {
			v.t.Fatal(err)
		}
	}
	return f.Name()
}

// disk is a disk with a cache that a power cut empties. On it is a file system.
//
// # How
//
// The file system lies in a file on another one, the outer. What it sends to its
// disk goes to the cache of that file, and from there to the outer's disk when
// it asks for a flush, or when the disk likes to. A power cut shuts down the
// outer: what was not flushed is gone, whether the file system still had it
// or the cache. Nothing that is written afterwards gets anywhere.
type disk struct {
	*volume
	outer *volume
	boot  string // a file with the id of the system's present run
	boots int
	logs  int // that a store on it has begun

	drops sync.WaitGroup
	still chan struct{} // closed: the disk writes only what it must
}

// newDisk makes a disk of a size.
func newDisk(t testing.TB, size int64) *disk {
	t.Helper()
	dir := t.TempDir()
	d := &disk{outer: newVolume(t, filepath.Join(dir, "outer"), size+size/8+64<<20), boot: filepath.Join(dir, "boot")}
	d.volume = newVolume(t, filepath.Join(d.outer.dir, "inner"), size)
	d.proveCut()
	d.on()
	t.Cleanup(d.off)
	return d
}

// proveCut makes sure that a cut drops what was not synced, and nothing else.
func (d *disk) proveCut() {
	d.t.Helper()
	for _, name := range []string{"synced", "unsynced"} { // in this order: a sync takes along what came before
		f, err := os.Create(filepath.Join(d.dir, name))
		if err != nil {
			d.t.Fatal(err)
		}
		_, err = f.WriteString(name)
		if name == "synced" {
			root, openErr := os.Open(d.dir)
			err = errors.Join(err, f.Sync(), openErr, root.Sync(), root.Close())
		} else { // to the disk, whose cache alone has it
			err = errors.Join(err, syscall.SyncFileRange(int(f.Fd()), 0, 0, 7))
		}
		if err := errors.Join(err, f.Close()); err != nil {
			d.t.Fatal(err)
		}
	}
	d.outer.shut()
	d.remount()
	text, err := os.ReadFile(filepath.Join(d.dir, "synced"))
	lost, _ := os.ReadFile(filepath.Join(d.dir, "unsynced"))
	if err != nil || string(text) != "synced" || len(lost) > 0 {
		d.t.Skipf("a power cut cannot be had here: of what was synced %q is there (%v), of what was not %q", text, err, lost)
	}
}

// on gives the system power: a new run, and a disk that writes some of its cache
// whenever it likes, in any order.
func (d *disk) on() {
	d.t.Helper()
	d.boots++
	if err := os.WriteFile(d.boot, fmt.Appendf(nil, "run-%d\n", d.boots), 0o600); err != nil {
		d.t.Fatal(err)
	}
	d.still = make(chan struct{})
	f, err := os.Open(d.image)
	if err != nil {
		d.t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		d.t.Fatal(err)
	}
	still := d.still
	d.drops.Go(func() {
		defer f.Close()
		writeSome(f, info.Size(), still)
	})
}

// writeSome writes parts of a file's cache to its disk, here and there, until it
// is told to be still.
func writeSome(f *os.File, size int64, still chan struct{}) {
	const part, each, start = 64 << 10, 100, 2
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-still:
			return
		case <-ticker.C:
		}
		for range each {
			if syscall.SyncFileRange(int(f.Fd()), rand.Int64N(size/part)*part, part, start) != nil {
				return // the power is off
			}
		}
	}
}

// off has the disk be still.
func (d *disk) off() {
	select {
	case <-d.still:
	default:
		close(d.still)
	}
	d.drops.Wait()
}

// cut takes the power away. Processes live on, as no real ones would, and get
// errors.
func (d *disk) cut() {
	d.t.Helper()
	d.outer.shut()
	d.off()
}

// back brings the power back; no process uses the disk any more.
func (d *disk) back() {
	d.t.Helper()
	d.remount()
	d.on()
}

func (d *disk) remount() {
	d.t.Helper()
	d.unmount()
	d.outer.unmount()
	d.outer.mount()
	d.mount()
}

// launch starts a store on the disk that believes in the system's present run.
func (d *disk) launch(flags ...string) *process {
	d.t.Helper()
	script := fmt.Sprintf(`mount --bind %q /proc/sys/kernel/random/boot_id && exec "$@"`, d.boot)
	return launchUnder(d.t, []string{"unshare", "-m", "sh", "-c", script, "sh"}, flags...)
}

// tool runs a program of the system.
func tool(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
