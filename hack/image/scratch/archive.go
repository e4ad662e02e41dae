package scratch

import (
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// WriteArchive writes img, named tag, as a tar file in OCI layout, which
// `ctr images import`, `docker load` (25 and later), podman and skopeo read.
// Unlike Docker's own format it carries the manifest itself, so the digest
// after an import is the digest from here.
func WriteArchive(file string, tag name.Tag, img v1.Image) error {
	dir, err := os.MkdirTemp("", "scratch-image-")
	if err != nil {
		return fmt.Errorf("make a place for the layout: %w", err)
	}
	defer os.RemoveAll(dir)
	tree, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("write the layout: %w", err)
	}
	annotations := map[string]string{
		"io.containerd.image.name":          ContainerdName(tag),
		"org.opencontainers.image.ref.name": tag.TagStr(),
	}
	if err := tree.AppendImage(img, layout.WithAnnotations(annotations)); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return packDir(file, dir)
}

// packDir writes everything below dir to the tar file, under a temporary name
// first, so that an archive is whole or absent.
func packDir(file, dir string) error {
	entries, err := Tree(dir)
	if err != nil {
		return err
	}
	if entries, err = complete(entries); err != nil {
		return err
	}
	partial := file + ".partial"
	defer os.Remove(partial)
	out, err := os.Create(partial)
	if err != nil {
		return fmt.Errorf("create the archive: %w", err)
	}
	if err := writeTar(out, entries); err != nil {
		out.Close()
		return fmt.Errorf("write the archive: %w", err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return os.Rename(partial, file)
}

// ContainerdName is the name under which containerd and the kubelet look for
// tag: with its registry, and docker.io where none was given.
func ContainerdName(tag name.Tag) string {
	full := tag.Name()
	if rest, found := strings.CutPrefix(full, name.DefaultRegistry+"/"); found {
		return "docker.io/" + rest
	}
	return full
}
