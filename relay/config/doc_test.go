package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestReferenceDocumentsEveryField keeps docs/reference/relay-yaml.md complete.
func TestReferenceDocumentsEveryField(t *testing.T) {
	t.Parallel()
	reference := readReference(t)
	for _, field := range append(fieldPaths(reflect.TypeFor[Config](), ""), fieldPaths(reflect.TypeFor[UserFile](), "")...) {
		if !strings.Contains(reference, "| `"+field+"` |") {
			t.Errorf("%s is not in the reference", field)
		}
	}
}

// TestReferenceExamplesAreAccepted parses the examples of the reference.
func TestReferenceExamplesAreAccepted(t *testing.T) {
	t.Parallel()
	blocks := yamlBlock.FindAllStringSubmatch(readReference(t), -1)
	if len(blocks) != 2 {
		t.Fatalf("the reference has %d examples, want relay.yaml and a user file", len(blocks))
	}
	if _, err := Parse([]byte(blocks[0][1])); err != nil {
		t.Errorf("relay.yaml: %v", err)
	}
	if _, err := ParseUserFile([]byte(blocks[1][1])); err != nil {
		t.Errorf("user file: %v", err)
	}
}

func readReference(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("../../docs/reference/relay-yaml.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// fieldPaths are the paths of all values, such as "upstreams[].limits.connections".
func fieldPaths(t reflect.Type, path string) []string {
	switch {
	case t.Kind() == reflect.Slice:
		return fieldPaths(t.Elem(), path+"[]")
	case t.Kind() == reflect.Struct && t != timeType:
		var paths []string
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			paths = append(paths, fieldPaths(t.Field(i).Type, strings.TrimPrefix(path+"."+name, "."))...)
		}
		return paths
	}
	return []string{path}
}
