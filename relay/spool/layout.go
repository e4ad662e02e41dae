package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatVersion is the layout of the directory and the records in it.
const formatVersion = 1

// layout is the directory of a spool:
//
//	format      the version of all this
//	queue/      the database: envelopes, dead letters and small contents
//	bodies/     contents that are too large for the database, each named by its queue id
//	quarantine/ contents that were taken out of the queue
//	reserve     space that is given up when the disk is full
type layout struct {
	fs                                               vfs.FS
	root, format, queue, bodies, quarantine, reserve string
}

func newLayout(fsys vfs.FS, root string) layout {
	in := func(name string) string { return fsys.PathJoin(root, name) }
	return layout{
		fs: fsys, root: root, format: in("format"), queue: in("queue"), bodies: in("bodies"),
		quarantine: in("quarantine"), reserve: in("reserve"),
	}
}

func (l layout) body(id string) string        { return l.fs.PathJoin(l.bodies, id) }
func (l layout) quarantined(id string) string { return l.fs.PathJoin(l.quarantine, id) }

// CheckDirectory reports why a spool could not be kept in a directory, as Open would. It
// leaves nothing behind and does not mind a relay that uses the directory.
func CheckDirectory(path string) error { return newLayout(vfs.Default, path).checkWritable() }

func (l layout) checkWritable() error {
	if err := l.checkRoot(); err != nil {
		return err
	}
	name := l.fs.PathJoin(l.root, "check-"+newID(time.Now()))
	f, err := l.fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return l.explain(err)
	}
	if err := errors.Join(f.Close(), l.fs.Remove(name)); err != nil {
		return l.explain(err)
	}
	_, err = l.checkFormat()
	if err != nil {
		return l.explain(err)
	}
	return nil
}

// checkRoot refuses what is no directory.
func (l layout) checkRoot() error {
	info, err := l.fs.Stat(l.root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("spool directory %s does not exist: create it, or mount its volume", l.root)
	case err != nil:
		return fmt.Errorf("spool directory %s: %w", l.root, err)
	case !info.IsDir():
		return fmt.Errorf("spool directory %s is a file: name a directory", l.root)
	}
	return nil
}

// claim takes the lock of the directory and makes the directories that are missing in it.
func (l layout) claim() (*pebble.Lock, error) {
	if err := l.checkRoot(); err != nil {
		return nil, err
	}
	for _, dir := range []string{l.queue, l.bodies, l.quarantine} {
		if err := l.fs.MkdirAll(dir, 0o700); err != nil {
			return nil, l.explain(err)
		}
	}
	lock, err := pebble.LockDirectory(l.queue, l.fs)
	if err != nil {
		return nil, l.explainLock(err)
	}
	return lock, nil
}

// explain says what to do about an error of the file system at the start.
func (l layout) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("spool directory %s cannot be written: give it to the relay's user (in Kubernetes, by fsGroup): %w", l.root, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("spool directory %s is on a read-only file system: mount it writable: %w", l.root, err)
	case errors.Is(err, pebble.ErrDBDoesNotExist):
		return fmt.Errorf("spool directory %s has lost its queue: restore the spool, or start with an empty directory: %w", l.root, err)
	case isFull(err):
		return fmt.Errorf("spool directory %s has no space left: free some, or enlarge the volume: %w", l.root, err)
	}
	return fmt.Errorf("spool directory %s: %w", l.root, err)
}

// explainLock tells a lock that another one holds, in this process or a different one, from
// a directory that cannot be written.
func (l layout) explainLock(err error) error {
	if errors.Is(err, syscall.EAGAIN) || strings.Contains(err.Error(), "held by current process") {
		return fmt.Errorf("spool directory %s is in use by another relay: stop it, or give each a directory of its own: %w", l.root, err)
	}
	return l.explain(err)
}

// checkFormat refuses a spool of a newer version. A directory without a format file is new.
func (l layout) checkFormat() (isNew bool, err error) {
	f, err := l.fs.Open(l.format)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64))
	if err != nil {
		return false, err
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil || version < 1:
		return false, errors.New("its file format does not hold a version: restore the spool, or start with an empty directory")
	case version > formatVersion:
		return false, fmt.Errorf("its format is %d, this relay knows up to %d: run the newer version that wrote it", version, formatVersion)
	}
	return false, nil
}

// writeFormat ends the making of a new spool. From then on a missing queue is a loss.
func (l layout) writeFormat() error {
	temporary := l.format + ".new"
	if err := writeFile(l.fs, temporary, []byte(strconv.Itoa(formatVersion)+"\n")); err != nil {
		return err
	}
	return l.fs.Rename(temporary, l.format)
}

// writeFile creates a file with data in it and syncs it.
func writeFile(fsys vfs.FS, name string, data []byte) error {
	f, err := fsys.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the entries of a directory durable.
func syncDir(fsys vfs.FS, name string) error {
	dir, err := fsys.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// isFull reports whether err means that the disk, or the share of it, is used up.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
