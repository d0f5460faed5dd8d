package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Beside DIR/store a restore needs two more names:
//
//	DIR/store.restoring   the new data, not yet complete or not yet in its place
//	DIR/store.replaced    the old data, on its way out
//
// It fills the first, renames DIR/store to the second and the first to
// DIR/store, and removes the second. Whatever is killed in between, the next
// opening finds the old data or the new, and removes the rest ([finishSwap],
// [removeLeftovers]).
const (
	restoringSuffix = ".restoring"
	replacedSuffix  = ".replaced"
)

// swapIn puts the new data into the place of the old, whose lock the caller
// holds. Where it fails the old data is in its place.
func swapIn(current string) error {
	fresh, gone := current+restoringSuffix, current+replacedSuffix
	if err := os.Rename(current, gone); err != nil {
		return err
	}
	if err := os.Rename(fresh, current); err != nil {
		return errors.Join(err, finishSwap(current))
	}
	return syncDir(filepath.Dir(current))
}

// finishSwap puts the data back where a restore was cut off between moving it
// away and moving the new one in.
func finishSwap(current string) error {
	if _, err := os.Stat(current); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	err := os.Rename(current+replacedSuffix, current)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("engine: %w", err)
}

// dataOf is where the data of a directory are: not in their place where a restore
// was cut off and nothing has put them back.
func dataOf(dir string) string {
	current := filepath.Join(dir, storeDir)
	if _, err := os.Stat(current); errors.Is(err, fs.ErrNotExist) && holdsData(current+replacedSuffix) {
		return current + replacedSuffix
	}
	return current
}

// removeLeftovers removes what a restore that failed or was killed left behind.
// The caller holds the lock of the data, so that none is under way.
func removeLeftovers(current string) error {
	err := errors.Join(os.RemoveAll(current+restoringSuffix), os.RemoveAll(current+replacedSuffix))
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return nil
}
