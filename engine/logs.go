package engine

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"strconv"
	"syscall"
)

// Badger replays a write-ahead log up to the first thing that it cannot read,
// drops the rest without a word, and cuts the file there. After a crash that is
// right: the commit that was being written was never acknowledged. But a bit
// that flipped in the middle looks the same to it. So the logs are looked at
// before Badger sees them.
//
// A log (NNNNN.mem, one for each memtable) is
//
//	key id (8) | base of the IV (12) | entries ... | zeros up to the size
//
// and an entry
//
//	meta (1) | user meta (1) | key length, value length, expiry (uvarints) | key | value | CRC-32C (4)
//
// where key and value may be encrypted (AES-CTR; the IV is the base and the
// entry's offset), and the key ends with the commit's number. Each commit ends
// with an entry of its own, and is synced before the next one is written. So
// what cannot be read may only be the last commit: if anything of a later one
// follows, or there is a hole in the numbers, acknowledged commits were lost.
const (
	logHeader   = 20
	logTxn      = 1 << 6 // meta of an entry of a commit
	logFin      = 1 << 7 // meta of the one that ends it
	logDelete   = 1 << 0
	logFinKey   = "!badger!txn"
	maxLogValue = maxBackendValue + 64
)

// logFile is a log as it was found.
type logFile struct {
	name        string
	first, last uint64 // commits that can be replayed; 0: none
	end         int    // where they end
	torn        bool   // something follows that was never acknowledged
}

// dataKeys gives a data key of Badger's by its id; nil stands for plain text.
type dataKeys func(id uint64) ([]byte, error)

// checkLogs looks at all logs of a directory whose tables end at a commit, and
// refuses what was acknowledged and cannot be replayed, unless such losses are
// to be expected. It changes nothing.
func checkLogs(dir string, keys dataKeys, flushed uint64, lossy bool) (logs []logFile, err error) {
	names, err := namesOf(dir, ".mem")
	if err != nil {
		return nil, err
	}
	last := flushed
	for _, name := range names {
		found, err := checkLog(name, keys, last)
		if err != nil && !lossy {
			return nil, fmt.Errorf("write-ahead log %s is damaged: %w: put an undamaged copy of the whole directory back, or restore a backup", name, err)
		}
		last = max(last, found.last)
		logs = append(logs, found)
	}
	return logs, nil
}

func checkLog(name string, keys dataKeys, before uint64) (found logFile, err error) {
	found.name = name
	f, err := os.Open(name)
	if err != nil {
		return found, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return found, err
	}
	if info.Size() < logHeader {
		return found, fmt.Errorf("it is cut off after %d bytes", info.Size())
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return found, err
	}
	defer func() { _ = syscall.Munmap(data) }()
	r, err := newLogReader(data, keys)
	if err != nil {
		return found, err
	}
	r.replay(&found)
	return found, r.prove(&found, before)
}

// logReader reads the entries of one log.
type logReader struct {
	data []byte
	aes  cipher.Block // nil: plain text
	iv   [aes.BlockSize]byte
	cut  bool // an entry goes on beyond the end of the file
}

func newLogReader(data []byte, keys dataKeys) (*logReader, error) {
	r := &logReader{data: data}
	copy(r.iv[:12], data[8:logHeader])
	key, err := keys(binary.BigEndian.Uint64(data))
	if err == nil && key != nil {
		r.aes, err = aes.NewCipher(key)
	}
	return r, err
}

// logEntry is one entry whose checksum is right.
type logEntry struct {
	fin    bool
	commit uint64
	end    int
	known  bool // its key is one that the engine writes
}

// entry reads what begins at a byte.
func (r *logReader) entry(at int) (e logEntry, ok bool) {
	rest := r.data[at:]
	head, klen, vlen := logSizes(rest)
	if head == 0 {
		return e, false
	}
	size := head + klen + vlen
	if size+crc32.Size > len(rest) {
		r.cut = true
		return e, false
	}
	if crc32.Checksum(rest[:size], castagnoli) != binary.BigEndian.Uint32(rest[size:]) {
		return e, false
	}
	key := r.decrypt(rest[head:head+klen], at)
	name := key[:klen-8]
	e = logEntry{fin: rest[0] == logFin, commit: math.MaxUint64 - binary.BigEndian.Uint64(key[klen-8:]), end: at + size + crc32.Size}
	e.known = !e.fin || string(name) == logFinKey
	return e, true
}

// logSizes are those of an entry's parts, before its checksum; a head of 0
// bytes: none begins here.
func logSizes(rest []byte) (head, klen, vlen int) {
	if len(rest) < 2 || rest[1] != 0 || rest[0]&^logDelete != logTxn && rest[0] != logFin {
		return 0, 0, 0
	}
	key, n := binary.Uvarint(rest[2:])
	if n <= 0 || key <= 8 || key > maxBackendKey+8 {
		return 0, 0, 0
	}
	head = 2 + n
	value, n := binary.Uvarint(rest[head:])
	if n <= 0 || value > maxLogValue {
		return 0, 0, 0
	}
	head += n
	if head >= len(rest) || rest[head] != 0 { // no expiry
		return 0, 0, 0
	}
	return head + 1, int(key), int(value)
}

// appendCommit appends the entries of a commit, of plain text, as Badger writes
// them. Badger's have no order but for the last.
func appendCommit(log []byte, ts uint64, writes []write) []byte {
	for i := range writes {
		meta := byte(logTxn)
		if writes[i].delete {
			meta |= logDelete
		}
		log = appendEntry(log, meta, writes[i].key, ts, writes[i].value)
	}
	return appendEntry(log, logFin, []byte(logFinKey), ts, strconv.AppendUint(nil, ts, 10))
}

func appendEntry(log []byte, meta byte, key []byte, ts uint64, value []byte) []byte {
	at := len(log)
	log = append(log, meta, 0)
	log = binary.AppendUvarint(log, uint64(len(key)+8))
	log = binary.AppendUvarint(log, uint64(len(value)))
	log = append(log, 0) // it does not expire
	log = append(log, key...)
	log = binary.BigEndian.AppendUint64(log, math.MaxUint64-ts)
	log = append(log, value...)
	return binary.BigEndian.AppendUint32(log, crc32.Checksum(log[at:], castagnoli))
}

// endOfLog is where the commits end that stand in a log from a byte on, which
// has been written without a fault.
func endOfLog(data []byte, from int) (end int, err error) {
	end = from
	for at := from; at < len(data) && data[at] != 0; {
		head, klen, vlen := logSizes(data[at:])
		size := head + klen + vlen + crc32.Size
		if head == 0 || size > len(data)-at {
			return 0, fmt.Errorf("what stands at byte %d is no entry", at)
		}
		fin := data[at] == logFin
		if at += size; fin {
			end = at
		}
	}
	return end, nil
}

func (r *logReader) decrypt(key []byte, at int) []byte {
	if r.aes == nil {
		return key
	}
	binary.BigEndian.PutUint32(r.iv[12:], uint32(at))
	plain := make([]byte, len(key))
	cipher.NewCTR(r.aes, r.iv[:]).XORKeyStream(plain, key)
	return plain
}

// replay reads as Badger does: whole commits, up to what is none.
func (r *logReader) replay(found *logFile) {
	found.end = logHeader
	commit := uint64(0)
	for at := logHeader; at < len(r.data); {
		e, ok := r.entry(at)
		if !ok || !e.known || commit != 0 && e.commit != commit || commit == 0 && e.fin {
			return
		}
		at, commit = e.end, e.commit
		if !e.fin {
			continue
		}
		if found.first == 0 {
			found.first = commit
		}
		found.last, found.end, commit = commit, at, 0
	}
}

// prove looks for what was acknowledged behind the end of what can be replayed.
func (r *logReader) prove(found *logFile, before uint64) error {
	if found.first > before+1 {
		return fmt.Errorf("it begins with commit %d, and what stands before it ends with %d", found.first, before)
	}
	rest := withoutZeros(r.data[found.end:])
	found.torn = len(rest) > 0
	if !found.torn {
		return nil
	}
	if r.cut {
		return fmt.Errorf("it is cut off: an entry goes on beyond its end")
	}
	last := max(found.last, before)
	least, most := uint64(math.MaxUint64), uint64(0)
	for at := found.end; at < found.end+len(rest); at++ {
		e, ok := r.entry(at)
		if !ok {
			continue
		}
		if !e.known {
			return fmt.Errorf("its header does not fit what follows")
		}
		least, most = min(least, e.commit), max(most, e.commit)
		at = e.end - 1
	}
	if most > last+1 || most > least {
		return fmt.Errorf("at byte %d something cannot be read, but commit %d follows", found.end, most)
	}
	return nil
}

// withoutZeros cuts the zeros at the end off, which may be many.
func withoutZeros(b []byte) []byte {
	const page = 4096
	var zeros [page]byte
	for len(b) >= page && bytes.Equal(b[len(b)-page:], zeros[:]) {
		b = b[:len(b)-page]
	}
	return bytes.TrimRight(b, "\x00")
}

// checkValueLogs refuses a log of values whose key Badger would not find. It
// has the same header; the engine keeps it empty.
func checkValueLogs(dir string, keys dataKeys) error {
	names, err := namesOf(dir, ".vlog")
	if err != nil {
		return err
	}
	for _, name := range names {
		known, err := knownHead(name, keys)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		advice := "put an undamaged copy of the whole directory back, or restore a backup"
		if len(withoutZeros(data[logHeader:])) == 0 {
			advice = "it holds nothing, so remove it, or put an undamaged copy of it back"
		}
		return fmt.Errorf("the head of the log of values %s is damaged: %s", name, advice)
	}
	return nil
}

// knownHead tells whether the key of a log is known. Badger begins a log anew
// that has no whole header.
func knownHead(name string, keys dataKeys) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [logHeader]byte
	if _, err := io.ReadFull(f, head[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	_, err = keys(binary.BigEndian.Uint64(head[:]))
	return err == nil, nil
}
