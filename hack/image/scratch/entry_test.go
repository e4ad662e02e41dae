package scratch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, path, content string, mode fs.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFileNormalisesPermissions(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ have, want fs.FileMode }{
		{0o600, 0o644}, {0o664, 0o644}, {0o700, 0o755}, {0o775, 0o755}, {0o755 | fs.ModeSetuid, 0o755},
	} {
		source := write(t, filepath.Join(t.TempDir(), "f"), "x", tc.have)
		got, err := File(source, "/etc//app/../f")
		if err != nil {
			t.Fatal(err)
		}
		if got.Mode != tc.want || got.Path != "/etc/f" {
			t.Errorf("mode %v became %v at %s, want %v at /etc/f", tc.have, got.Mode, got.Path, tc.want)
		}
	}
}

func TestFileRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := write(t, filepath.Join(dir, "f"), "x", 0o644)
	for name, tc := range map[string]struct{ source, dest, says string }{
		"missing source":       {filepath.Join(dir, "none"), "/f", "no such file"},
		"directory":            {dir, "/f", "--tree"},
		"relative destination": {source, "etc/f", "absolute"},
		"root as destination":  {source, "/", "absolute"},
		"above the root":       {source, "/..", "absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := File(tc.source, tc.dest)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v does not say %q", err, tc.says)
			}
		})
	}
}

func TestTreeKeepsLinksAndDropsSetuid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bin/su"), "x", 0o755|fs.ModeSetuid)
	if err := os.Symlink("su", filepath.Join(dir, "bin/sh")); err != nil {
		t.Fatal(err)
	}
	entries, err := Tree(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Path: "/bin", Mode: fs.ModeDir | 0o755},
		{Path: "/bin/sh", Mode: fs.ModeSymlink | 0o777, Target: "su"},
		{Path: "/bin/su", Mode: 0o755, Source: filepath.Join(dir, "bin/su")},
	}
	if !slices.Equal(entries, want) {
		t.Errorf("got %+v\nwant %+v", entries, want)
	}
}

func TestTreeRefusesSpecialFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Tree(dir); err == nil || !strings.Contains(err.Error(), "pipe") {
		t.Errorf("a named pipe was accepted: %v", err)
	}
}

func TestCompleteSortsAndAddsParents(t *testing.T) {
	t.Parallel()
	all, err := complete([]Entry{{Path: "/z"}, {Path: "/a/b/c"}})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range all {
		paths = append(paths, e.Path)
	}
	if want := []string{"/a", "/a/b", "/a/b/c", "/z"}; !slices.Equal(paths, want) {
		t.Errorf("got %v, want %v", paths, want)
	}
	if _, err := complete([]Entry{{Path: "/a"}, {Path: "/a"}}); err == nil {
		t.Error("two entries at one path were accepted")
	}
}
