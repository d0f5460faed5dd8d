package engine

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/settkv/sett/codec"
)

// A backup is
//
//	magic | header | record ... | end
//
// where the header is a length and a msgpack map, a record is a length and the
// stored key, a length and the stored bytes (with their own checksum), and the
// end is a zero, the number of records, and the SHA-256 of everything before.
const backupMagic = "sett backup 1\n"

// backupHeader says whose state a backup holds.
type backupHeader struct {
	StoreID  string `wire:"store_id"`
	Revision uint64 `wire:"revision"`
	Epoch    uint64 `wire:"epoch"`
	TimeMs   int64  `wire:"time_ms"`
}

// Backup implements [Maintenance].
func (s *store) Backup(path string) error {
	return writeFile(path, func(f *os.File) error { return s.StreamBackup(f) })
}

// StreamBackup implements [Maintenance].
func (s *store) StreamBackup(w io.Writer) error {
	if err := s.down(); err != nil {
		return err
	}
	// In the turn between two groups: no version that the view needs can be
	// reclaimed before it is open, and none while it is.
	s.turn.RLock()
	st := s.state.Load()
	v := st.backend.View(st.commit)
	s.turn.RUnlock()
	defer v.Close()
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 256<<10)
	header := codec.Append(nil, codec.Msgpack, &backupHeader{
		StoreID: s.identity.StoreID, Revision: st.counters.revision, Epoch: st.counters.epoch, TimeMs: st.counters.nowMs,
	})
	out.WriteString(backupMagic)
	writeChunk(out, header)
	count, err := s.writeRecords(out, st, v)
	if errors.Is(err, errClosed) {
		return errUnavailable()
	}
	if err != nil {
		return fmt.Errorf("engine: backup: %w", err)
	}
	out.WriteByte(0)
	out.Write(binary.AppendUvarint(nil, count))
	if err := out.Flush(); err != nil {
		return fmt.Errorf("engine: backup: %w", err)
	}
	if _, err := w.Write(sum.Sum(nil)); err != nil {
		return fmt.Errorf("engine: backup: %w", err)
	}
	return nil
}

func (s *store) writeRecords(out *bufio.Writer, st *state, v view) (count uint64, err error) {
	var buf []byte
	st.index.Scan(func(i item) bool {
		key := []byte(i.path)
		var ok bool
		if buf, ok, err = v.Get(key, buf[:0]); err != nil {
			return false
		}
		if !ok {
			err = fmt.Errorf("record %q is missing", i.path)
			return false
		}
		if _, err = codec.ParseRecord(key, buf); err != nil {
			return false
		}
		writeChunk(out, key)
		writeChunk(out, buf)
		count++
		return true
	})
	return count, err
}

// writeChunk writes a length and bytes; a bufio.Writer keeps the first error
// for its Flush.
func writeChunk(out *bufio.Writer, b []byte) {
	out.Write(binary.AppendUvarint(nil, uint64(len(b))))
	out.Write(b)
}

// Restore implements [Maintenance]. It reads the file twice: a damaged one is
// refused before anything is touched.
func (s *store) Restore(path string) error {
	if err := s.down(); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("engine: restore: %w", err)
	}
	defer f.Close()
	header, err := checkBackup(f)
	if err != nil {
		return fmt.Errorf("engine: restore %s: %w", path, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("engine: restore: %w", err)
	}
	var failure error
	_, err = s.submit(context.Background(), &exclusive{run: func() error {
		failure = s.replace(f, header)
		return failure
	}})
	if failure != nil {
		return fmt.Errorf("engine: restore %s: %w", path, failure)
	}
	return err
}

// replace puts a backup's contents in the place of the store's own.
func (s *store) replace(f io.Reader, header *backupHeader) error {
	old := s.state.Load()
	b, swap, err := s.newBackend()
	if err != nil {
		return err
	}
	m := meta{
		revision: max(old.counters.revision, header.Revision),
		epoch:    max(old.counters.epoch, header.Epoch), nowMs: uint64(old.counters.nowMs),
		announced: max(old.counters.revision, header.Revision),
	}
	if err := fillBackend(b, f, m); err != nil {
		return errors.Join(err, b.Close())
	}
	if b, err = swap(b, old.backend); err != nil {
		s.fail(fmt.Errorf("engine: restore: %w", err))
		return err
	}
	s.outbox.clear()
	s.cache.clear()
	if err := s.load(b, m); err != nil {
		s.fail(err)
		return err
	}
	s.machine.begin(s.clock.ms())
	if _, err := s.machine.apply(&Request{Command: s.epochCommand(codec.ReasonRestored)}); err != nil {
		return err
	}
	return s.persist(&state{commit: b.Last(), backend: b})
}

// checkBackup reads a backup whole and refuses one that is damaged.
func checkBackup(in io.Reader) (*backupHeader, error) {
	var records recordChecker
	header, err := readBackup(in, records.check)
	if err == nil && records.revision > header.Revision {
		err = fmt.Errorf("the backup is damaged: a record has revision %d, the store was at %d", records.revision, header.Revision)
	}
	return header, err
}

// recordChecker refuses what no store would write, though its sums are right:
// loading it would fail when the store's own contents are already gone.
type recordChecker struct {
	last     []byte
	revision uint64 // the largest so far
}

func (c *recordChecker) check(key, value []byte) error {
	isRecord := bytes.HasPrefix(key, []byte(kvPrefix)) || bytes.HasPrefix(key, []byte(svcPrefix)) && bytes.IndexByte(key, 0) > 0
	if !isRecord || bytes.Compare(key, c.last) <= 0 {
		return fmt.Errorf("the backup is damaged: the record %q does not belong there", key)
	}
	rec, err := loadRecord(key, value, &meta{}, 0)
	if err != nil {
		return err
	}
	if rec.revision == 0 || rec.created == 0 || rec.created > rec.revision {
		return fmt.Errorf("the backup is damaged: the record %q has the revisions %d and %d", key, rec.created, rec.revision)
	}
	c.last, c.revision = append(c.last[:0], key...), max(c.revision, rec.revision)
	return nil
}

// newBackend opens an empty backend beside the store's own, and returns how to
// put it into its place.
func (s *store) newBackend() (backend, func(b, old backend) (backend, error), error) {
	if s.options.Kind == Memory {
		return openMemory(), func(b, old backend) (backend, error) { return b, old.Close() }, nil
	}
	current := filepath.Join(s.options.Dir, storeDir)
	fresh, gone := current+".restoring", current+replacedSuffix
	if err := errors.Join(os.RemoveAll(fresh), os.RemoveAll(gone)); err != nil {
		return nil, nil, err
	}
	options := badgerOptions{NoSync: s.options.NoSync, Logger: s.log}
	b, err := openBadger(fresh, options)
	if err != nil {
		return nil, nil, err
	}
	return b, func(b, old backend) (backend, error) {
		if err := errors.Join(b.Close(), old.Close()); err != nil {
			return nil, err
		}
		if err := errors.Join(os.Rename(current, gone), os.Rename(fresh, current), syncDir(s.options.Dir)); err != nil {
			return nil, err
		}
		reopened, err := openBadger(current, options)
		if err != nil {
			return nil, err
		}
		return reopened, os.RemoveAll(gone)
	}, nil
}

// fillBackend commits the records of a backup in groups, each with the counters
// that the store goes on from: a crash before it does then repeats no revision.
func fillBackend(b backend, f io.Reader, m meta) error {
	var writes []write
	size := 0
	flush := func() error {
		defer func() { writes, size = writes[:0], 0 }()
		return b.Commit(b.Last()+1, append(writes, m.write()))
	}
	_, err := readBackup(f, func(key, value []byte) error {
		writes = append(writes, write{key: bytes.Clone(key), value: bytes.Clone(value)})
		if size += len(key) + len(value); size < groupBytes && len(writes) < groupCommands {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// backupReader reads a backup and sums up what it has read.
type backupReader struct {
	in  *bufio.Reader
	sum hash.Hash
	key []byte
}

func (r *backupReader) ReadByte() (byte, error) {
	b, err := r.in.ReadByte()
	if err == nil {
		r.sum.Write([]byte{b})
	}
	return b, err
}

func (r *backupReader) bytes(buf []byte, n uint64) ([]byte, error) {
	if n > maxBackendValue {
		return nil, fmt.Errorf("the backup is damaged: a record of %d bytes", n)
	}
	buf = append(buf[:0], make([]byte, n)...)
	if _, err := io.ReadFull(r.in, buf); err != nil {
		return nil, err
	}
	r.sum.Write(buf)
	return buf, nil
}

func (r *backupReader) chunk(buf []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return nil, err
	}
	return r.bytes(buf, n)
}

// readBackup reads a backup whole, checks every sum in it and calls fn for
// each record. Key and value are valid inside fn only.
func readBackup(in io.Reader, fn func(key, value []byte) error) (*backupHeader, error) {
	r := &backupReader{in: bufio.NewReaderSize(in, 256<<10), sum: sha256.New()}
	header, count, err := r.read(fn)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("the backup is cut off after %d records", count)
	}
	return header, err
}

func (r *backupReader) read(fn func(key, value []byte) error) (*backupHeader, uint64, error) {
	magic, err := r.bytes(nil, uint64(len(backupMagic)))
	if err != nil || string(magic) != backupMagic {
		return nil, 0, errors.New("this is no backup of sett, or of another version")
	}
	packed, err := r.chunk(nil)
	if err != nil {
		return nil, 0, err
	}
	header := &backupHeader{}
	if err := codec.Decode(packed, header); err != nil {
		return nil, 0, fmt.Errorf("the backup's header is damaged: %w", err)
	}
	var count uint64
	var key, value []byte
	for {
		if key, err = r.chunk(key); err != nil {
			return nil, count, err
		}
		if len(key) == 0 {
			return header, count, r.end(count)
		}
		if value, err = r.chunk(value); err != nil {
			return nil, count, err
		}
		if _, err := codec.ParseRecord(key, value); err != nil {
			return nil, count, err
		}
		if err := fn(key, value); err != nil {
			return nil, count, err
		}
		count++
	}
}

// end checks the count and the sum over everything.
func (r *backupReader) end(count uint64) error {
	want, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	sum := r.sum.Sum(nil)
	stored, err := r.bytes(nil, sha256.Size)
	if err != nil {
		return err
	}
	if want != count || !bytes.Equal(sum, stored) {
		return errors.New("the backup is damaged: its checksum does not match")
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return errors.New("the backup is damaged: something follows its end")
	}
	return nil
}
