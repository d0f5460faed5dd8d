package codec

// Backup asks for a backup of the whole store. It is answered by a row of
// [BackupChunk], each to be acknowledged by an empty message on its own reply
// subject, and a [BackupReply] at the end.
type Backup struct{}

// Validate finds nothing to complain about.
func (*Backup) Validate() error { return nil }

// BackupChunk is a piece of a backup.
type BackupChunk struct {
	Seq  uint64 `wire:"seq"` // 1, 2, 3, ...: a hole means that one was lost
	Data []byte `wire:"data"`
}

// BackupReply ends a backup: its data, in order, is whole if it has this sum.
// The position is that of the backup.
type BackupReply struct {
	Position
	Done      bool   `wire:"done"`
	Chunks    uint64 `wire:"chunks"`
	Bytes     int64  `wire:"bytes"`  // of all data
	SHA256    string `wire:"sha256"` // of all data, hexadecimal
	Keys      int64  `wire:"keys"`
	Instances int64  `wire:"instances"`
}

// How a backup is sent.
const (
	BackupChunkBytes = 128 << 10 // of data in a chunk, at the most
	BackupWindow     = 8         // chunks that are not yet acknowledged, at the most
)
