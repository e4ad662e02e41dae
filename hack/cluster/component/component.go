// Package component describes each program of the cluster: its command line, its
// configuration files and how it shows that it is well. It starts nothing.
package component

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/build"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// Component is one program of the cluster.
type Component struct {
	process.Spec
	// Files maps the path of a configuration file to the name of its template.
	Files map[string]string
	// Health is a URL that answers 200 when all is well. Without one, a
	// component is well while it runs.
	Health string
}

//go:embed files
var files embed.FS

var templates = template.Must(template.ParseFS(files, "files/*"))

// values are what the templates of configuration files may use.
type values struct {
	layout.Layout
	PauseImage, DNSImage, NodeName, NodeIP, NodePods, PodRange string
	DNSService, ClusterDomain, Cgroup, StorageClass            string
}

// Configure writes the component's configuration files.
func (c Component) Configure(l layout.Layout) error {
	for path, name := range c.Files {
		text, err := Render(l, name)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("configure %s: %w", c.Name, err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return fmt.Errorf("configure %s: %w", c.Name, err)
		}
	}
	return nil
}

// Render fills in the template of that name.
func Render(l layout.Layout, name string) ([]byte, error) {
	var text bytes.Buffer
	err := templates.ExecuteTemplate(&text, name, values{
		Layout:        l,
		PauseImage:    build.PauseImage.Name,
		DNSImage:      build.DNSImage.Name,
		NodeName:      layout.NodeName,
		NodeIP:        layout.NodeIP,
		NodePods:      layout.NodePods,
		PodRange:      layout.PodRange,
		DNSService:    layout.DNSService,
		ClusterDomain: layout.ClusterDomain,
		Cgroup:        layout.Cgroup,
		StorageClass:  StorageClass,
	})
	if err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return text.Bytes(), nil
}
