// Package scratch makes container images from files alone: no base image, no
// container engine, and the same digest whenever the input is the same.
package scratch

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Entry is one file, directory or symbolic link of a layer.
type Entry struct {
	// Path is where the entry lies in the image: absolute and clean.
	Path string
	// Mode holds the type and the permission bits.
	Mode fs.FileMode
	// Source is the file on this machine that holds the content; empty unless
	// the entry is a regular file.
	Source string
	// Target is what a symbolic link points at.
	Target string
}

// permissions are the mode bits that images keep: setuid and setgid are left
// out, since nothing in these images may gain rights.
const permissions = fs.ModePerm | fs.ModeSticky

// File returns an entry for the regular file source at dest. Permissions are
// 0755 when the owner may execute source, otherwise 0644, so that the umask
// under which source was written does not show in the digest.
func File(source, dest string) (Entry, error) {
	info, err := os.Stat(source)
	if err != nil {
		return Entry{}, fmt.Errorf("read file for the image: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Entry{}, fmt.Errorf("%s is not a regular file; give a directory with --tree", source)
	}
	clean, err := imagePath(dest)
	if err != nil {
		return Entry{}, err
	}
	mode := fs.FileMode(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return Entry{Path: clean, Mode: mode, Source: source}, nil
}

// Tree returns entries for everything below dir, which becomes the image's
// root. Only regular files, directories and symbolic links are allowed.
func Tree(dir string) ([]Entry, error) {
	var entries []Entry
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || file == dir {
			return err
		}
		entry, err := treeEntry(dir, file, d)
		entries = append(entries, entry)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read tree %s: %w", dir, err)
	}
	return entries, nil
}

func treeEntry(dir, file string, d fs.DirEntry) (Entry, error) {
	info, err := d.Info()
	if err != nil {
		return Entry{}, err
	}
	relative, err := filepath.Rel(dir, file)
	if err != nil {
		return Entry{}, err
	}
	entry := Entry{Path: "/" + filepath.ToSlash(relative), Mode: info.Mode() & (fs.ModeType | permissions)}
	switch {
	case info.Mode().IsRegular():
		entry.Source = file
	case info.IsDir():
	case info.Mode()&fs.ModeSymlink != 0:
		entry.Target, err = os.Readlink(file)
	default:
		err = fmt.Errorf("%s is a %s; only files, directories and symbolic links can go into an image", file, info.Mode().Type())
	}
	return entry, err
}

// imagePath cleans dest and refuses what does not name a file below the root.
func imagePath(dest string) (string, error) {
	clean := path.Clean(dest)
	if !path.IsAbs(clean) || clean == "/" {
		return "", fmt.Errorf("%q is not a path in the image; write an absolute one, such as /etc/app.conf", dest)
	}
	return clean, nil
}

// complete sorts entries by path, adds the parent directories that are missing
// and refuses two entries at one path.
func complete(entries []Entry) ([]Entry, error) {
	byPath := make(map[string]Entry, len(entries))
	for _, e := range entries {
		if _, taken := byPath[e.Path]; taken {
			return nil, fmt.Errorf("%s is given twice for one layer; leave one out", e.Path)
		}
		byPath[e.Path] = e
	}
	for _, e := range entries {
		for parent := path.Dir(e.Path); parent != "/"; parent = path.Dir(parent) {
			if _, known := byPath[parent]; !known {
				byPath[parent] = Entry{Path: parent, Mode: fs.ModeDir | 0o755}
			}
		}
	}
	all := make([]Entry, 0, len(byPath))
	for _, e := range byPath {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}
