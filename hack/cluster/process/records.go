package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Record is what is remembered of a process that was started.
type Record struct {
	// Name is the component's, unique within the records.
	Name string `json:"name"`
	Identity
	// Command is what was run, for people.
	Command []string `json:"command"`
	// Log is the file that its output goes to.
	Log string `json:"log"`
}

// Records is a directory with one file for each process.
type Records struct {
	Dir string
}

const suffix = ".json"

// Write remembers r, replacing what was known under its name. A crash leaves
// either the old record or the new one.
func (r Records) Write(record Record) error {
	if err := os.MkdirAll(r.Dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of records: %w", err)
	}
	data, err := json.MarshalIndent(record, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the record of %s: %w", record.Name, err)
	}
	path := filepath.Join(r.Dir, record.Name+suffix)
	if err := os.WriteFile(path+".new", append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("record process %s: %w", record.Name, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("record process %s: %w", record.Name, err)
	}
	return nil
}

// Read returns the record of that name, and false when there is none.
func (r Records) Read(name string) (Record, bool, error) {
	data, err := os.ReadFile(filepath.Join(r.Dir, name+suffix))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("read the record of %s: %w", name, err)
	}
	var record Record
	if err := json.Unmarshal(data, &record); err != nil {
		return Record{}, false, fmt.Errorf("read the record of %s: %w", name, err)
	}
	return record, true, nil
}

// All returns every record, by name.
func (r Records) All() ([]Record, error) {
	paths, err := filepath.Glob(filepath.Join(r.Dir, "*"+suffix))
	if err != nil {
		return nil, fmt.Errorf("list the records: %w", err)
	}
	var records []Record
	for _, path := range paths {
		record, found, err := r.Read(strings.TrimSuffix(filepath.Base(path), suffix))
		if err != nil {
			return nil, err
		}
		if found {
			records = append(records, record)
		}
	}
	return records, nil
}

// Forget removes the record of that name, if there is one.
func (r Records) Forget(name string) error {
	err := os.Remove(filepath.Join(r.Dir, name+suffix))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget process %s: %w", name, err)
	}
	return nil
}
