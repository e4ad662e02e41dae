package main

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

func program(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "relay"), []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOutAndPushAgree(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	repo := strings.TrimPrefix(server.URL, "http://") + "/team"
	dir := program(t)

	var stdout strings.Builder
	err := run([]string{
		"--root", dir, "--binary", "relay", "--file", "relay:/etc/copy", "--tree", dir, "--entrypoint", "/relay",
		"--label", "a=b", "--tag", "mailrelay/relay:v1", "--out", "image.tar", "--push", repo,
	}, &stdout, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "image.tar")); err != nil {
		t.Errorf("--out is not read against --root: %v", err)
	}
	lines := strings.Fields(stdout.String())
	if len(lines) != 2 {
		t.Fatalf("printed %q, want a line for each destination", stdout.String())
	}
	pushed, err := name.ParseReference(lines[1])
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(pushed)
	if err != nil {
		t.Fatalf("the printed name cannot be pulled: %v", err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if file.Config.User != "65532:65532" || file.Config.Labels["a"] != "b" {
		t.Errorf("pulled configuration is %+v", file.Config)
	}
	_, local, _ := strings.Cut(lines[0], "@")
	if !strings.HasSuffix(lines[1], "@"+local) || !strings.HasPrefix(lines[1], repo+"/relay:v1@") {
		t.Errorf("archive and registry differ: %v", lines)
	}
}

func TestCommandLineRefusals(t *testing.T) {
	t.Parallel()
	dir := program(t)
	base := []string{"--root", dir, "--tag", "a:1", "--out", "i.tar"}
	for name, tc := range map[string]struct {
		args []string
		says string
	}{
		"no tag":            {[]string{"--out", "x", "--binary", "y"}, "--tag"},
		"nowhere to go":     {[]string{"--tag", "a:1", "--binary", "y"}, "--out"},
		"nothing to pack":   {base, "empty"},
		"stray argument":    {append(base[:6:6], "--cmd", "a", "b"), `"b"`},
		"file without dest": {append(base[:6:6], "--file", "relay"), "PATH:/dest"},
		"label without key": {append(base[:6:6], "--binary", "relay", "--label", "=x"), "key=value"},
		"bad tag":           {append(base[:6:6], "--binary", "relay", "--tag", "UPPER"), "--tag"},
		"missing binary":    {append(base[:6:6], "--binary", "none"), "none"},
		"given twice":       {append(base[:6:6], "--binary", "relay", "--binary", "relay"), "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := run(tc.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v does not say %s", err, tc.says)
			}
		})
	}
}
