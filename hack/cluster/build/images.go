package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Image is a container image that holds one binary, as its entry point.
type Image struct {
	// Name is the image's name and tag.
	Name string
	// Binary is the unit inside.
	Binary string
}

// The images that the cluster itself runs. They are never pulled, only loaded:
// their names lead nowhere.
var (
	PauseImage = Image{Name: "mailrelay.invalid/cluster/pause:1", Binary: "pause"}
	DNSImage   = Image{Name: "mailrelay.invalid/cluster/coredns:1", Binary: "coredns"}
)

// Images are all of them.
var Images = []Image{PauseImage, DNSImage}

// Archive is the file that the image is built into.
func (b Builder) Archive(image Image) string {
	return filepath.Join(b.Layout.Images(), image.Binary+".tar")
}

// Images makes sure that the archives of all images are in the cache. Their
// binaries must be there already.
func (b Builder) Images(ctx context.Context) error {
	if err := os.MkdirAll(b.Layout.Images(), 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	return b.exclusive(ctx, func() error {
		for _, image := range Images {
			if err := b.image(ctx, image); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b Builder) image(ctx context.Context, image Image) error {
	binary, archive := b.Layout.Binary(image.Binary), b.Archive(image)
	digest, err := fileDigest(binary)
	if err != nil {
		return err
	}
	stamp := image.Name + " " + digest
	if fresh(archive, stamp) {
		return nil
	}
	b.Say("making the image of %s", image.Binary)
	if err := clearStamp(archive); err != nil {
		return err
	}
	command := b.Module.goCommand(ctx, "run", ".",
		"--tag", image.Name, "--binary", binary, "--entrypoint", "/"+image.Binary, "--out", archive)
	command.Dir = b.Module.imageTool()
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("make the image of %s: %w: %s", image.Binary, err, output)
	}
	return writeStamp(archive, stamp)
}

func fileDigest(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read a binary: %w", err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", fmt.Errorf("read a binary: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
