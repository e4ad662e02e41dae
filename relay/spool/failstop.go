package spool

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// failStop is the database's file system. The first operation that fails to write ends the
// store and never returns: after such an error pebble would try again, panic or crash the
// process, each with locks held, and an fsync that succeeds at the second try may hide what
// the first one lost. What hangs then ends with the process; callers of the store do not
// wait for it, see Store.guard.
type failStop struct {
	vfs.FS
	fail func(error)
}

// must returns only if err is nil.
func (f failStop) must(doing, name string, err error) {
	if err == nil {
		return
	}
	f.fail(fmt.Errorf("%s %s: %w", doing, name, err))
	select {}
}

func (f failStop) wrap(doing, name string, file vfs.File, err error) (vfs.File, error) {
	f.must(doing, name, err)
	return failStopFile{file, f, name}, nil
}

// markerPrefix begins the names of empty files whose name says which file is the current one.
const markerPrefix = "marker."

// Create implements vfs.FS. Pebble makes the file that a marker names, then the new marker,
// then removes the old one, and syncs the directory only after all that. A power cut could
// leave a marker without its file, or no marker, which looks like an empty queue; so each
// step is synced.
func (f failStop) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(f.PathBase(name), markerPrefix) {
		directory := f.PathDir(name)
		f.must("sync", directory, syncDir(f.FS, directory))
		defer func() { f.must("sync", directory, syncDir(f.FS, directory)) }()
	}
	file, err := f.FS.Create(name, category)
	return f.wrap("create", name, file, err)
}

// ReuseForWrite implements vfs.FS.
func (f failStop) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	return f.wrap("create", newname, file, err)
}

// OpenDir implements vfs.FS.
func (f failStop) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	return f.wrap("open", name, file, err)
}

// Rename implements vfs.FS.
func (f failStop) Rename(oldname, newname string) error {
	f.must("rename to", newname, f.FS.Rename(oldname, newname))
	return nil
}

// Link implements vfs.FS.
func (f failStop) Link(oldname, newname string) error {
	f.must("link to", newname, f.FS.Link(oldname, newname))
	return nil
}

// Unwrap implements vfs.FS.
func (f failStop) Unwrap() vfs.FS { return f.FS }

type failStopFile struct {
	vfs.File
	fs   failStop
	name string
}

// Write implements vfs.File.
func (f failStopFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.fs.must("write", f.name, err)
	return n, nil
}

// Sync implements vfs.File.
func (f failStopFile) Sync() error {
	f.fs.must("sync", f.name, f.File.Sync())
	return nil
}

// SyncData implements vfs.File.
func (f failStopFile) SyncData() error {
	f.fs.must("sync", f.name, f.File.SyncData())
	return nil
}

// SyncTo implements vfs.File.
func (f failStopFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	f.fs.must("sync", f.name, err)
	return full, nil
}
