package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const passwd = `root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
nonroot:x:65532:65532:nonroot:/tmp:/bin/sh
`

// configure does the little that programs need of what maintainer scripts do:
// accounts, a temporary directory and the bundle of CA certificates.
func configure(root string) error {
	for _, dir := range []string{"etc/ssl/certs", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return fmt.Errorf("make /%s: %w", dir, err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "tmp"), 0o777|fs.ModeSticky); err != nil {
		return fmt.Errorf("open up /tmp: %w", err)
	}
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o644); err != nil {
		return fmt.Errorf("write accounts: %w", err)
	}
	return bundleCAs(root)
}

// bundleCAs joins the certificates of the package ca-certificates, if it is
// there, in the order of their names.
func bundleCAs(root string) error {
	var bundle bytes.Buffer
	source := filepath.Join(root, "usr/share/ca-certificates")
	err := filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".crt") {
			return err
		}
		pem, err := os.ReadFile(file)
		bundle.Write(append(bytes.TrimSpace(pem), '\n'))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read CA certificates: %w", err)
	}
	return os.WriteFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"), bundle.Bytes(), 0o644)
}
