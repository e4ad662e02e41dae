package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigureBundlesCAsInOrder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	source := filepath.Join(root, "usr/share/ca-certificates/mozilla")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"b.crt": "B", "a.crt": "A\n\n", "README": "no"} {
		if err := os.WriteFile(filepath.Join(source, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := configure(root); err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	if err != nil || string(bundle) != "A\nB\n" {
		t.Errorf("bundle is %q, %v", bundle, err)
	}
}

func TestConfigureWithoutCAsLeavesNoBundle(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := configure(root); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt")); err == nil {
		t.Error("an empty bundle was written")
	}
	info, err := os.Stat(filepath.Join(root, "tmp"))
	if err != nil || info.Mode().Perm() != 0o777 || info.Mode()&fs.ModeSticky == 0 {
		t.Errorf("/tmp is not open to all: %v, %v", info, err)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "old"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		out      string
		packages []string
		says     string
	}{
		"relative path": {"tree", []string{"curl"}, "absolute"},
		"no package":    {"/nonexistent", nil, "package"},
		"used place":    {used, []string{"curl"}, "not empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), tc.out, tc.packages)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v does not say %q", err, tc.says)
			}
		})
	}
}
