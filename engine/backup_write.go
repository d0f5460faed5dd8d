package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/settkv/sett/codec"
)

// backupWriter writes a backup in frames: it holds one block at a time.
type backupWriter struct {
	w      io.Writer
	sum    hash.Hash
	size   int64
	zip    *zstd.Encoder
	block  []byte // rows that wait to be packed
	packed []byte
	head   []byte
	header backupHeader
	counts backupCounts
	seal   *backupSeal // nil: it is not encrypted
}

// newBackupWriter begins a backup; with a master key it is encrypted.
func newBackupWriter(w io.Writer, header backupHeader, master []byte) (*backupWriter, error) {
	// Frames have sums of their own.
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(blockBytes))
	if err != nil {
		return nil, err
	}
	if master != nil {
		header.seal(master)
	}
	b := &backupWriter{w: w, sum: sha256.New(), zip: zip, header: header}
	if err := b.write([]byte(backupMagic + backupVersion)); err != nil {
		return nil, err
	}
	encoded := codec.Append(nil, codec.Msgpack, &header)
	if err := b.frame(headerFrame, encoded); err != nil {
		return nil, err
	}
	if master != nil {
		b.seal = newBackupSeal(master, &header, encoded)
	}
	return b, nil
}

// add writes one record, or keeps it for the next block.
func (b *backupWriter) add(key, value []byte) error {
	// What the disk has changed must not become a backup that looks whole.
	if _, err := codec.ParseRecord(key, value); err != nil {
		return err
	}
	b.block = appendChunk(appendChunk(b.block, key), value)
	b.counts.add(key, value)
	if len(b.block) < blockBytes {
		return nil
	}
	return b.flush()
}

func appendChunk(dst, chunk []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(chunk))), chunk...)
}

func (b *backupWriter) flush() error {
	if len(b.block) == 0 {
		return nil
	}
	b.packed = b.zip.EncodeAll(b.block, b.packed[:0])
	b.block = b.block[:0]
	return b.frame(recordsFrame, b.packed)
}

func (b *backupWriter) frame(kind byte, payload []byte) error {
	if b.seal != nil {
		payload = b.seal.seal(kind, payload)
	}
	b.head = appendHead(b.head[:0], kind, payload)
	if err := b.write(b.head); err != nil {
		return err
	}
	return b.write(payload)
}

func (b *backupWriter) end() error {
	if err := b.flush(); err != nil {
		return err
	}
	if err := b.frame(endFrame, codec.Append(nil, codec.Msgpack, &b.counts)); err != nil {
		return err
	}
	return b.write(b.sum.Sum(nil))
}

func (b *backupWriter) write(p []byte) error {
	b.sum.Write(p)
	n, err := b.w.Write(p)
	b.size += int64(n)
	return err
}

func (b *backupWriter) info() BackupInfo {
	info := BackupInfo{Size: b.size, SHA256: hex.EncodeToString(b.sum.Sum(nil))}
	info.tell(&b.header)
	info.count(b.counts)
	return info
}
