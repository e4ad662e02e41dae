package scratch

import (
	"fmt"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Config is what an image says about how to run it.
type Config struct {
	// Platform is OS and architecture, such as linux/amd64.
	Platform string
	// User is numeric, uid:gid, so that Kubernetes can check runAsNonRoot.
	User string
	// Entrypoint, Cmd and Env are as in a Dockerfile.
	Entrypoint []string
	Cmd        []string
	Env        []string
	Labels     map[string]string
}

// Image stacks layers, the lowest first, under config.
func Image(config Config, layers ...v1.Layer) (v1.Image, error) {
	platform, err := v1.ParsePlatform(config.Platform)
	if err != nil || platform.OS == "" || platform.Architecture == "" {
		return nil, fmt.Errorf("platform %q is not OS/architecture, such as linux/amd64", config.Platform)
	}
	if err := checkUser(config.User); err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(base, layers...)
	if err != nil {
		return nil, fmt.Errorf("stack the layers: %w", err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the image configuration: %w", err)
	}
	file = file.DeepCopy()
	file.Created = v1.Time{Time: epoch}
	file.OS, file.Architecture, file.Variant = platform.OS, platform.Architecture, platform.Variant
	file.Config = v1.Config{
		User:       config.User,
		Entrypoint: config.Entrypoint,
		Cmd:        config.Cmd,
		Env:        config.Env,
		Labels:     config.Labels,
		WorkingDir: "/",
	}
	return mutate.ConfigFile(img, file)
}

// checkUser accepts uid:gid only: a name would need a passwd file in the image
// and defeats the kubelet's runAsNonRoot check.
func checkUser(user string) error {
	uid, gid, both := strings.Cut(user, ":")
	for _, id := range []string{uid, gid} {
		if _, err := strconv.ParseUint(id, 10, 31); err != nil || !both {
			return fmt.Errorf("user %q is not uid:gid in numbers, such as 65532:65532", user)
		}
	}
	return nil
}
