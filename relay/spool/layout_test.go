package spool

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// readCounter counts the times that files of a name are opened, and lets them fail.
type readCounter struct {
	name  string
	fail  error
	count atomic.Int64
}

func wrapReads(fsys vfs.FS, c *readCounter) vfs.FS {
	return errorfs.Wrap(fsys, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind != errorfs.OpOpen || c.name == "" || !strings.HasSuffix(op.Path, c.name) {
			return nil
		}
		c.count.Add(1)
		return c.fail
	}))
}

// failing lets every operation of a kind on a path with that suffix fail.
func failing(kind errorfs.OpKind, suffix string, err error) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == kind && strings.HasSuffix(op.Path, suffix) {
			return err
		}
		return nil
	})
}

func TestOpenSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(t *testing.T, disk *vfs.MemFS) vfs.FS
		want    string
		is      error
	}{
		"missing directory": {
			func(*testing.T, *vfs.MemFS) vfs.FS { return vfs.NewMem() },
			"does not exist: create it, or mount its volume", nil,
		},
		"a file": {
			func(t *testing.T, _ *vfs.MemFS) vfs.FS {
				disk := vfs.NewMem()
				overwrite(t, disk, testDir, nil)
				return disk
			},
			"is a file: name a directory", nil,
		},
		"newer version": {
			func(t *testing.T, disk *vfs.MemFS) vfs.FS {
				overwrite(t, disk, testDir+"/format", []byte("2\n"))
				return disk
			},
			"its format is 2, this relay knows up to 1: run the newer version", nil,
		},
		"unreadable version": {
			func(t *testing.T, disk *vfs.MemFS) vfs.FS {
				overwrite(t, disk, testDir+"/format", []byte("?"))
				return disk
			},
			"does not hold a version: restore the spool", nil,
		},
		"lost queue": {
			func(t *testing.T, disk *vfs.MemFS) vfs.FS {
				overwrite(t, disk, testDir+"/format", []byte("1\n"))
				return disk
			},
			"has lost its queue: restore the spool", pebble.ErrDBDoesNotExist,
		},
		"read-only file system": {
			func(_ *testing.T, disk *vfs.MemFS) vfs.FS {
				return errorfs.Wrap(disk, failing(errorfs.OpMkdirAll, "queue", syscall.EROFS))
			},
			"is on a read-only file system: mount it writable", syscall.EROFS,
		},
		"no permission": {
			func(_ *testing.T, disk *vfs.MemFS) vfs.FS {
				return errorfs.Wrap(disk, failing(errorfs.OpMkdirAll, "queue", syscall.EACCES))
			},
			"cannot be written: give it to the relay's user", fs.ErrPermission,
		},
		"no permission for the lock": {
			func(_ *testing.T, disk *vfs.MemFS) vfs.FS {
				return errorfs.Wrap(disk, failing(errorfs.OpLock, "LOCK", syscall.EACCES))
			},
			"cannot be written: give it to the relay's user", fs.ErrPermission,
		},
		"full disk": {
			func(_ *testing.T, disk *vfs.MemFS) vfs.FS {
				return errorfs.Wrap(disk, failing(errorfs.OpCreate, ".log", syscall.ENOSPC))
			},
			"has no space left: free some, or enlarge the volume", syscall.ENOSPC,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(Options{Directory: testDir, FS: test.prepare(t, memory(t)), Logger: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), testDir) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v is not %v", err, test.is)
			}
		})
	}
}

func TestSecondOpenIsRefusedUntilClose(t *testing.T) {
	t.Parallel()
	for name, fsys := range map[string]vfs.FS{"memory": memory(t), "disk": vfs.Default} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := testDir
			if fsys == vfs.Default {
				directory = t.TempDir()
			}
			opts := Options{Directory: directory, FS: fsys, Logger: slog.New(slog.DiscardHandler)}
			first, err := Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Open(opts); err == nil || !strings.Contains(err.Error(), "in use by another relay") {
				t.Errorf("second open: %v", err)
			}
			if _, err := put(first, bodyOf(largeBody)); err != nil {
				t.Errorf("the first store after that: %v", err)
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := Open(opts)
			if err != nil {
				t.Fatal(err)
			}
			if again.Stats().Messages != 1 {
				t.Error("the message is lost")
			}
			if err := again.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusedOpenLetsGoOfTheDirectory(t *testing.T) {
	t.Parallel()
	disk := memory(t)
	overwrite(t, disk, testDir+"/format", []byte("2\n"))
	opts := Options{Directory: testDir, FS: disk, Logger: slog.New(slog.DiscardHandler)}
	if _, err := Open(opts); err == nil {
		t.Fatal("a newer version was opened")
	}
	if err := disk.Remove(testDir + "/format"); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, disk)
}

func TestOthersCannotReadMail(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	s, err := Open(Options{Directory: directory, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{"queue", "bodies", "quarantine"} {
		info, err := os.Stat(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v, want 0700", name, info.Mode())
		}
	}
}
