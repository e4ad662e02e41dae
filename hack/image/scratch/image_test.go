package scratch

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// sample builds an image from freshly written files, so that two calls share
// content but neither place, time nor umask.
func sample(t *testing.T, content string, mode fs.FileMode, at time.Time) v1.Image {
	t.Helper()
	source := write(t, filepath.Join(t.TempDir(), "relay"), content, mode)
	if err := os.Chtimes(source, at, at); err != nil {
		t.Fatal(err)
	}
	entry, err := File(source, "/usr/bin/relay")
	if err != nil {
		t.Fatal(err)
	}
	layer, err := Layer([]Entry{entry})
	if err != nil {
		t.Fatal(err)
	}
	img, err := Image(Config{
		Platform: "linux/amd64", User: "65532:65532", Entrypoint: []string{"/usr/bin/relay"},
		Labels: map[string]string{"a": "1", "b": "2"},
	}, layer)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	hash, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestSameInputSameDigest(t *testing.T) {
	t.Parallel()
	first := digest(t, sample(t, "program", 0o755, time.Unix(1e9, 0)))
	if again := digest(t, sample(t, "program", 0o711, time.Unix(2e9, 0))); again != first {
		t.Errorf("the same program gave %s and %s", first, again)
	}
	if other := digest(t, sample(t, "another", 0o755, time.Unix(1e9, 0))); other == first {
		t.Error("another program gave the same digest")
	}
}

func TestLayerBelongsToRootAtTheEpoch(t *testing.T) {
	t.Parallel()
	layers, err := sample(t, "program", 0o755, time.Now()).Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	var names []string
	for in := tar.NewReader(content); ; {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
		if header.Uid != 0 || header.Gid != 0 || !header.ModTime.Equal(epoch) || header.Mode != 0o755 {
			t.Errorf("%s: owner %d:%d, time %v, mode %o", header.Name, header.Uid, header.Gid, header.ModTime, header.Mode)
		}
	}
	if want := []string{"usr/", "usr/bin/", "usr/bin/relay"}; !slices.Equal(names, want) {
		t.Errorf("layer holds %v, want %v", names, want)
	}
}

func TestImageSaysHowToRun(t *testing.T) {
	t.Parallel()
	file, err := sample(t, "program", 0o755, time.Now()).ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if file.Config.User != "65532:65532" || file.OS != "linux" || file.Architecture != "amd64" ||
		!slices.Equal(file.Config.Entrypoint, []string{"/usr/bin/relay"}) {
		t.Errorf("configuration is %+v", file)
	}
}

func TestImageRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ platform, user, says string }{
		{"linux/amd64", "nonroot", "uid:gid"},
		{"linux/amd64", "65532", "uid:gid"},
		{"linux/amd64", "-1:0", "uid:gid"},
		{"linux/amd64", "", "uid:gid"},
		{"linux", "1:1", "platform"},
		{"", "1:1", "platform"},
	} {
		_, err := Image(Config{Platform: tc.platform, User: tc.user})
		if err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("platform %q, user %q: error %v does not say %q", tc.platform, tc.user, err, tc.says)
		}
	}
}

func TestArchiveCarriesDigestAndName(t *testing.T) {
	t.Parallel()
	img := sample(t, "program", 0o755, time.Now())
	tag, err := name.NewTag("mailrelay/relay:dev")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := WriteArchive(file, tag, img); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(extract(t, file))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	got := manifest.Manifests[0]
	if got.Digest != digest(t, img) || got.Annotations["io.containerd.image.name"] != "docker.io/mailrelay/relay:dev" {
		t.Errorf("archive describes %+v", got)
	}
	if leftover, _ := filepath.Glob(file + ".*"); len(leftover) > 0 {
		t.Errorf("left behind: %v", leftover)
	}
}

func extract(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for in := tar.NewReader(file); ; {
		header, err := in.Next()
		if err == io.EOF {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			content, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, header.Name), string(content), 0o644)
		}
	}
}

func TestContainerdName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"relay:1":                     "docker.io/library/relay:1",
		"mailrelay/relay:dev":         "docker.io/mailrelay/relay:dev",
		"registry.example:5000/a/b:1": "registry.example:5000/a/b:1",
	} {
		tag, err := name.NewTag(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := ContainerdName(tag); got != want {
			t.Errorf("%s is looked for as %s, want %s", in, got, want)
		}
	}
}
