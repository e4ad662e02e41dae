package config

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Parse reads relay.yaml, fills in the defaults and checks every field. The error is
// Problems: all that is wrong, each with its line. Files that it points at are not read.
func Parse(data []byte) (*Config, error) {
	c := &Config{}
	d := decode(data, c)
	// Complaints about fields that could not be read would only repeat the first ones.
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	c.setDefaults()
	if err := check(d.lines, c.validate); err != nil {
		return nil, err
	}
	return c, nil
}

// ParseUserFile reads a user file, fills in the defaults and checks every field. The error is Problems.
func ParseUserFile(data []byte) (*UserFile, error) {
	f := &UserFile{}
	d := decode(data, f)
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	f.setDefaults()
	if err := check(d.lines, f.validate); err != nil {
		return nil, err
	}
	return f, nil
}

// Marshal writes relay.yaml, the same bytes for the same configuration; fields that are
// zero are left out, so that the relay's own defaults hold. The error is what Parse would
// say of the result.
func Marshal(c *Config) ([]byte, error) {
	data, err := marshal(c)
	if err != nil {
		return nil, err
	}
	if _, err := Parse(data); err != nil {
		return nil, fmt.Errorf("the configuration is not valid: %w", err)
	}
	return data, nil
}

// MarshalUserFile writes a user file, the same bytes for the same users in the same
// order. The error is what ParseUserFile would say of the result.
func MarshalUserFile(f *UserFile) ([]byte, error) {
	data, err := marshal(f)
	if err != nil {
		return nil, err
	}
	if _, err := ParseUserFile(data); err != nil {
		return nil, fmt.Errorf("the user file is not valid: %w", err)
	}
	return data, nil
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("write YAML: %w", err)
	}
	return b.Bytes(), encoder.Close()
}
