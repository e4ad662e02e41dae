package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Fixed are the directories that parts of a node use whatever they are told:
// results of CNI, the kubelet's socket for devices and its links to logs.
var Fixed = []string{"/var/lib/cni", "/var/lib/kubelet", "/var/log/containers", "/run/containerd"}

// Footprint remembers which directories were not there before, to remove them
// later. What others have made is never touched.
type Footprint struct {
	// File is where they are remembered.
	File string
}

// Save writes down which of the directories do not exist, unless that was done
// before.
func (f Footprint) Save(directories []string) error {
	if exists(f.File) {
		return nil
	}
	absent := []string{}
	for _, path := range directories {
		if !exists(path) {
			absent = append(absent, path)
		}
	}
	data, err := json.Marshal(absent)
	if err != nil {
		return fmt.Errorf("encode the footprint: %w", err)
	}
	if err := os.WriteFile(f.File, data, 0o644); err != nil {
		return fmt.Errorf("save the footprint: %w", err)
	}
	return nil
}

// Erase removes the directories that Save wrote down, if it did.
func (f Footprint) Erase() error {
	data, err := os.ReadFile(f.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the footprint: %w", err)
	}
	var absent []string
	if err := json.Unmarshal(data, &absent); err != nil {
		return fmt.Errorf("read the footprint in %s: %w", f.File, err)
	}
	for _, path := range absent {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("erase the footprint: %w", err)
		}
	}
	return nil
}
