package engine

import (
	"strings"

	"github.com/settkv/sett/codec"
)

// ListKeys implements [Reader].
func (s *store) ListKeys(r *codec.List, fit codec.Fit) (*codec.ListReply, error) {
	var reply *codec.ListReply
	err := s.look(func(st *state, now int64) (bool, error) {
		at, err := s.begin(st, r.Cursor, listFilter(r))
		if err != nil {
			return false, err
		}
		if r.After != "" {
			at.After = r.After
		}
		w := &walk{r: r, st: st, now: now, room: newRoom(fit), reply: &codec.ListReply{Entries: []codec.Entry{}}}
		w.values = values{s: s, st: st}
		defer w.values.close()
		w.run(at)
		reply = w.reply
		reply.Position = codec.Position{StoreRevision: at.Revision, Epoch: at.Epoch}
		return w.leftOut, w.err
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// walk collects one page of keys.
type walk struct {
	r       *codec.List
	st      *state
	now     int64
	room    room
	values  values
	reply   *codec.ListReply
	leftOut bool
	err     error
	last    string // the last key or common prefix that the page has
	folded  bool   // it is a common prefix
	skip    string // the common prefix being passed over
}

func (w *walk) run(at *cursor) {
	prefix := keyPath(w.r.Prefix)
	visit := func(i item) bool { return w.visit(i, prefix, at) }
	// A cursor after a common prefix stands behind all of its keys.
	from := keyPath(max(w.r.Prefix, at.After))
	for again := true; again; {
		again, w.skip = false, ""
		if w.r.Reverse {
			w.st.index.Descend(w.end(prefix, at), visit)
		} else {
			w.st.index.Ascend(from, visit)
		}
		if w.skip != "" && w.err == nil && w.reply.Next == "" {
			// Jump over the keys that the common prefix stands for.
			again, at.After, at.Folded = true, w.skip, true
			from = keyPath(successor(w.skip))
		}
	}
}

// end is where a walk in reverse begins.
func (w *walk) end(prefix string, at *cursor) string {
	if at.After != "" {
		return keyPath(at.After)
	}
	return successor(prefix)
}

// successor is the least string that is above all that begin with a prefix.
func successor(prefix string) string {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			return prefix[:i] + string([]byte{prefix[i] + 1})
		}
	}
	return prefix + "\xff"
}

// visit takes one key into the page, and returns false where the walk ends or
// jumps.
func (w *walk) visit(i item, prefix string, at *cursor) bool {
	if !strings.HasPrefix(i.path, prefix) {
		// In reverse the first one may be the key behind the prefix.
		return w.r.Reverse && i.path > prefix
	}
	key := i.path[len(kvPrefix):]
	if w.passed(key, at) {
		return true
	}
	if i.rec.dead(w.now) {
		w.leftOut = true
		return true
	}
	if int64(len(w.reply.Entries)+len(w.reply.Prefixes)) >= w.r.Limit {
		return w.full(at)
	}
	if folded, ok := fold(key, w.r.Prefix, w.r.Delimiter); ok {
		if !w.room.bytes(16 + 2*len(folded)) {
			return w.full(at)
		}
		w.reply.Prefixes = append(w.reply.Prefixes, folded)
		w.last, w.folded, w.skip = folded, true, folded
		return false
	}
	return w.take(i, at)
}

func (w *walk) take(i item, at *cursor) bool {
	e := i.entry()
	size := -1
	if w.r.ReturnValues {
		size = int(i.rec.size)
	}
	if !w.room.take(&e, size) {
		return w.full(at)
	}
	if w.r.ReturnValues {
		if e.Value, w.err = w.values.get(i); w.err != nil {
			return false
		}
	}
	w.reply.Entries = append(w.reply.Entries, e)
	w.last, w.folded = e.Key, false
	return true
}

// full ends the page: there is at least one key more.
func (w *walk) full(at *cursor) bool {
	if w.last == "" {
		w.err = errPage
		return false
	}
	next := *at
	next.After, next.Folded = w.last, w.folded
	w.reply.Next, w.skip = next.String(), ""
	return false
}

// passed tells whether a key lies before where the page begins.
func (w *walk) passed(key string, at *cursor) bool {
	if at.After == "" {
		return false
	}
	if at.Folded && strings.HasPrefix(key, at.After) {
		return true
	}
	if w.r.Reverse {
		return key >= at.After
	}
	return key <= at.After
}

// fold returns the common prefix that stands for a key: up to the first
// delimiter behind the list's own prefix.
func fold(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" {
		return "", false
	}
	n := strings.Index(key[len(prefix):], delimiter)
	if n < 0 {
		return "", false
	}
	return key[:len(prefix)+n+len(delimiter)], true
}
