package build

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// stamp identifies everything that a unit's binary depends on. It stands beside
// the binary, so that a cached one is used even when Go's build cache is gone.
func (m Module) stamp(u Unit, flags []string) (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOARCH, u.Package, u.C, flags)
	files := []string{filepath.Join(m.dir, "go.mod"), filepath.Join(m.dir, "go.sum")}
	if strings.HasPrefix(u.Package, "./") {
		sources, err := goFiles(filepath.Join(m.dir, u.Package))
		if err != nil {
			return "", fmt.Errorf("list the sources of %s: %w", u.Binary, err)
		}
		files = append(files, sources...)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read the sources of %s: %w", u.Binary, err)
		}
		fmt.Fprintf(hash, "%s %d\n%s", filepath.Base(file), len(data), data)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// goFiles lists the sources below dir, without tests, in the order of their
// names.
func goFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// fresh reports whether file exists and carries this stamp.
func fresh(file, stamp string) bool {
	if _, err := os.Stat(file); err != nil {
		return false
	}
	have, err := os.ReadFile(file + ".stamp")
	return err == nil && string(have) == stamp
}

func writeStamp(file, stamp string) error {
	if err := os.WriteFile(file+".stamp", []byte(stamp), 0o644); err != nil {
		return fmt.Errorf("stamp %s: %w", file, err)
	}
	return nil
}

// clearStamp comes before a file is replaced: whatever happens then, an old
// stamp never vouches for a new file.
func clearStamp(file string) error {
	if err := os.Remove(file + ".stamp"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("clear the stamp of %s: %w", file, err)
	}
	return nil
}

// Fingerprint identifies the cached binaries of the units: two are equal when
// the same programs would run.
func (b Builder) Fingerprint(units []Unit) (string, error) {
	hash := sha256.New()
	for _, unit := range units {
		stamp, err := os.ReadFile(b.Layout.Binary(unit.Binary) + ".stamp")
		if err != nil {
			return "", fmt.Errorf("read the stamp of %s: %w", unit.Binary, err)
		}
		fmt.Fprintf(hash, "%s %s\n", unit.Binary, stamp)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
