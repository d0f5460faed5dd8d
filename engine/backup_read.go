package engine

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/settkv/sett/codec"
)

// VerifyBackup reads a backup whole and checks everything in it, records too.
// Its memory is bounded whatever is read. It returns [ErrBackupForeign],
// [ErrBackupCut] or [ErrBackupDamaged] in an error that says where, or what
// reading failed with; and [ErrBackupSealed], with what can be told without the
// key, of a backup that is encrypted ([VerifyBackupKey]).
func VerifyBackup(r io.Reader) (BackupInfo, error) { return VerifyBackupKey(r, nil) }

// ReadBackupHeader reads only the beginning of a backup: whose it is, and of
// which revision. Whether the rest is whole it does not know; what stands at
// the end (counts, size, sum) is zero.
func ReadBackupHeader(r io.Reader) (info BackupInfo, err error) {
	b, err := newBackupReader(r, nil)
	if err != nil {
		return info, err
	}
	defer b.unzip.Close()
	if err := b.begin(); err != nil {
		return info, b.explain(err)
	}
	info.tell(&b.header)
	return info, nil
}

// readBackup reads a backup as VerifyBackup does and calls fn for each record.
// Key and value are valid inside fn only. What fn gets is proved when readBackup
// returns nil, not before.
func readBackup(in io.Reader, master []byte, fn func(key, value []byte) error) (info BackupInfo, err error) {
	b, err := newBackupReader(in, master)
	if err != nil {
		return info, err
	}
	defer b.unzip.Close()
	if err := b.read(fn); err != nil {
		return info, b.explain(err)
	}
	info = BackupInfo{Size: b.at, SHA256: hex.EncodeToString(b.sum.Sum(nil))}
	info.tell(&b.header)
	info.count(b.counts)
	return info, b.sealed()
}

// backupReader reads a backup and sums up what it has read: it holds one block
// at a time.
type backupReader struct {
	in      *bufio.Reader
	sum     hash.Hash
	at      int64 // how far it has read
	unzip   *zstd.Decoder
	payload []byte
	block   []byte
	header  backupHeader
	counts  backupCounts
	last    []byte // the last stored key
	master  []byte
	seal    *backupSeal // of an encrypted backup, if its key is known
	opaque  bool        // it is not
}

func newBackupReader(in io.Reader, master []byte) (*backupReader, error) {
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecoderMaxWindow(maxBlock))
	if err != nil {
		return nil, err
	}
	return &backupReader{in: bufio.NewReaderSize(in, 64<<10), sum: sha256.New(), unzip: unzip, master: master}, nil
}

// explain says that a backup ends too early, and where.
func (b *backupReader) explain(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends after %d bytes and %d records", ErrBackupCut, b.at, b.counts.Keys+b.counts.Instances)
	}
	return err
}

// damaged is the error about the frame that begins at a byte.
func damaged(at int64, format string, args ...any) error {
	return fmt.Errorf("%w, at byte %d: %s", ErrBackupDamaged, at, fmt.Sprintf(format, args...))
}

// fill reads len(p) bytes.
func (b *backupReader) fill(p []byte) error {
	n, err := io.ReadFull(b.in, p)
	b.at += int64(n)
	b.sum.Write(p[:n])
	return err
}

func (b *backupReader) read(fn func(key, value []byte) error) error {
	if err := b.begin(); err != nil {
		return err
	}
	for {
		start := b.at
		kind, err := b.frame()
		if err != nil {
			return err
		}
		if err := b.unseal(start, kind); err != nil {
			return err
		}
		switch {
		case kind == endFrame:
			return b.end(start)
		case kind != recordsFrame:
			err = damaged(start, "a part of kind %q does not belong there", kind)
		case !b.opaque:
			err = b.records(start, fn)
		}
		if err != nil {
			return err
		}
	}
}

// begin reads the magic and the header.
func (b *backupReader) begin() error {
	if err := b.magic(); err != nil {
		return err
	}
	start := b.at
	kind, err := b.frame()
	if err != nil {
		return err
	}
	if kind != headerFrame {
		return damaged(start, "it has no header")
	}
	if err := codec.Decode(b.payload, &b.header); err != nil {
		return damaged(start, "its header cannot be read: %v", err)
	}
	return b.unlock(b.payload)
}

func (b *backupReader) magic() error {
	const want = backupMagic + backupVersion
	got := make([]byte, len(want))
	err := b.fill(got)
	text := string(got[:b.at])
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case text == want:
		return nil
	case text == "":
		return fmt.Errorf("%w: it is empty", ErrBackupForeign)
	case err != nil && strings.HasPrefix(want, text):
		return err
	case strings.HasPrefix(text, backupMagic):
		return fmt.Errorf("%w that this program reads: its format is %q, this one's %q; use the sett that wrote it",
			ErrBackupForeign, strings.TrimSpace(text[len(backupMagic):]), strings.TrimSpace(backupVersion))
	}
	return fmt.Errorf("%w, or its first bytes are damaged", ErrBackupForeign)
}

// frame reads the next frame into b.payload: its head is checked before its
// size is believed, and the payload before anybody looks at it.
func (b *backupReader) frame() (kind byte, err error) {
	start := b.at
	var head [frameHead]byte
	if err := b.fill(head[:]); err != nil {
		return 0, err
	}
	if binary.LittleEndian.Uint32(head[9:]) != crc32.Checksum(head[:9], castagnoli) {
		return 0, damaged(start, "the checksum of a part's head does not match")
	}
	size := binary.LittleEndian.Uint32(head[1:])
	if size > maxPayload {
		return 0, damaged(start, "a part of %d bytes; the limit is %d", size, maxPayload)
	}
	b.payload = append(b.payload[:0], make([]byte, size)...)
	if err := b.fill(b.payload); err != nil {
		return 0, err
	}
	if binary.LittleEndian.Uint32(head[5:]) != crc32.Checksum(b.payload, castagnoli) {
		return 0, damaged(start, "the checksum of a part does not match")
	}
	return head[0], nil
}

// records unpacks the frame that begins at start.
func (b *backupReader) records(start int64, fn func(key, value []byte) error) (err error) {
	if b.block, err = b.unzip.DecodeAll(b.payload, b.block[:0]); err != nil {
		return damaged(start, "records cannot be unpacked: %v", err)
	}
	for rest := b.block; len(rest) > 0; {
		var key, value []byte
		var ok bool
		if key, rest, ok = cutChunk(rest); ok {
			value, rest, ok = cutChunk(rest)
		}
		if !ok {
			return damaged(start, "a record does not end")
		}
		if err := b.checkRecord(key, value); err != nil {
			return damaged(start, "%v", err)
		}
		b.counts.add(key, value)
		if err := fn(key, value); err != nil {
			return err
		}
	}
	return nil
}

func cutChunk(b []byte) (chunk, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	b = b[size:]
	return b[:n:n], b[n:], true
}

// checkRecord refuses what no store would write, though its sums are right:
// loading it would fail when the store's own contents are already gone.
func (b *backupReader) checkRecord(key, value []byte) error {
	isRecord := bytes.HasPrefix(key, []byte(kvPrefix)) || bytes.HasPrefix(key, []byte(svcPrefix)) && bytes.IndexByte(key, 0) > 0
	if !isRecord || bytes.Compare(key, b.last) <= 0 || len(key) > maxBackendKey || len(value) > maxBackendValue {
		return fmt.Errorf("the record %.100q does not belong there", key)
	}
	r, err := codec.ParseRecord(key, value)
	if err == nil {
		err = soundRecord(key, &r, b.header.Revision)
	}
	if err != nil {
		return err
	}
	b.last = append(b.last[:0], key...)
	return nil
}

// end checks the counts and the sum over everything; its frame began at start.
func (b *backupReader) end(start int64) error {
	if err := b.checkEnd(start); err != nil {
		return err
	}
	want := b.sum.Sum(nil)
	got := make([]byte, sha256.Size)
	start = b.at
	if err := b.fill(got); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return damaged(start, "the sum over the whole does not match")
	}
	switch _, err := b.in.ReadByte(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	}
	return damaged(b.at, "something follows its end")
}
