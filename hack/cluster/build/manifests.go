package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

const certManager = "github.com/cert-manager/cert-manager"

// CertManagerCRDs is the file that CertManagerManifest writes.
func (b Builder) CertManagerCRDs() string {
	return filepath.Join(b.Layout.Manifests(), "cert-manager-crds.yaml")
}

// CertManagerManifest makes sure that cert-manager's resource definitions, of
// the version that is pinned, are in the cache as one file.
func (b Builder) CertManagerManifest(ctx context.Context) error {
	version, err := b.Module.Version(ctx, certManager)
	if err != nil {
		return err
	}
	target := b.CertManagerCRDs()
	if fresh(target, version) {
		return nil
	}
	source, err := b.Module.source(ctx, certManager)
	if err != nil {
		return err
	}
	text, err := joinManifests(filepath.Join(source, "deploy", "crds", "*.yaml"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.Layout.Manifests(), 0o755); err != nil {
		return fmt.Errorf("make the cache: %w", err)
	}
	if err := clearStamp(target); err != nil {
		return err
	}
	if err := os.WriteFile(target, text, 0o644); err != nil {
		return fmt.Errorf("write cert-manager's definitions: %w", err)
	}
	return writeStamp(target, version)
}

// joinManifests makes one stream of documents out of the files that match.
func joinManifests(pattern string) ([]byte, error) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no manifest matches %s", pattern)
	}
	var text bytes.Buffer
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a manifest: %w", err)
		}
		if !bytes.HasPrefix(data, []byte("---")) {
			text.WriteString("---\n")
		}
		text.Write(bytes.TrimRight(data, "\n"))
		text.WriteByte('\n')
	}
	return text.Bytes(), nil
}
