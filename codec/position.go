package codec

// Position is a place in the store's history. Two positions compare by
// revision only while their epochs are equal: a new epoch says that the
// contents were replaced, or that the feed lost continuity, so that whoever
// follows must load again.
type Position struct {
	StoreRevision uint64 `wire:"store_revision,top"` // the answer includes every change up to it
	Epoch         uint64 `wire:"epoch,top"`
}

// At returns the position itself; it makes every type that embeds Position a
// [Reply] part.
func (p *Position) At() *Position { return p }
