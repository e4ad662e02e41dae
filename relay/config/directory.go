package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// largestFile bounds what is read of a directory. A Kubernetes Secret holds 1 MiB at
	// most; the rest is room for the directories of people.
	largestFile = 4 * mebibyte
	// readTries is how often a directory that changes under the reading is read again.
	readTries = 3
)

var (
	errMissing  = errors.New("the file does not exist")
	errTooLarge = fmt.Errorf("the file is larger than %d MiB", largestFile/mebibyte)
)

// directory is the content of a directory's regular files at one moment. Kubernetes
// mounts a Secret as links through "..data", which is exchanged as a whole: reading file
// by file could mix two versions, and a certificate would not fit its key. Any other
// directory may hold what is none of the relay's business, a log or the mail of years, so
// that of those only the files that are asked for are read.
type directory struct {
	path  string
	files map[string][]byte
	// unreadable says why files are not among files.
	unreadable map[string]error
	// version is the one of a mounted Secret, empty elsewhere.
	version string
	// stamps were taken of the files before they were read.
	stamps map[string]string
}

// readDirectory reads the files at the top level of a mounted Secret. A directory that does
// not exist is empty, as an optional Secret is.
func readDirectory(path string) *directory {
	d := readOnce(path)
	for range readTries {
		if d.version == secretVersion(path) {
			break
		}
		d = readOnce(path)
	}
	return d
}

func readOnce(path string) *directory {
	d := &directory{
		path: path, files: map[string][]byte{}, unreadable: map[string]error{},
		version: secretVersion(path), stamps: map[string]string{},
	}
	if d.version != "" {
		for _, name := range fileNames(path) {
			d.read(name)
		}
	}
	return d
}

// read reads one file, if there is a regular file of that name.
func (d *directory) read(name string) {
	file := filepath.Join(d.path, name)
	d.stamps[name] = stamp(file)
	if d.stamps[name] == "" {
		return
	}
	content, err := readFile(file)
	switch {
	case err == nil:
		d.files[name] = content
	case !errors.Is(err, fs.ErrNotExist):
		d.unreadable[name] = err
	}
}

// hash is the hash of what was read.
func (d *directory) hash() string { return DirHash(d.files) }

// file returns the content of one file.
func (d *directory) file(name string) ([]byte, error) {
	if _, known := d.stamps[name]; d.version == "" && !known {
		d.read(name)
	}
	if content, ok := d.files[name]; ok {
		return content, nil
	}
	if err, ok := d.unreadable[name]; ok {
		return nil, err
	}
	return nil, errMissing
}

// fileNames lists the regular files of a directory, links to them included. Names that
// begin with ".." are how Kubernetes keeps its books.
func fileNames(path string) []string {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil
	}
	var names []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") {
			continue
		}
		if info, err := os.Stat(filepath.Join(path, entry.Name())); err == nil && info.Mode().IsRegular() {
			names = append(names, entry.Name())
		}
	}
	return names
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(content) > largestFile {
		return nil, errTooLarge
	}
	return content, nil
}

// withoutPath keeps the cause only: the path is said by who reports the problem.
func withoutPath(err error) error {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// secretVersion names the version of a Secret that is mounted on a directory.
func secretVersion(path string) string {
	target, _ := os.Readlink(filepath.Join(path, "..data"))
	return target
}

// stamp changes when a file probably did, and costs no reading; it is empty when there is
// no such file.
func stamp(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return fmt.Sprintf("%d %d %v", info.Size(), info.ModTime().UnixNano(), info.Mode())
}
