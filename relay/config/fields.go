package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fieldIndexes maps the YAML names of a struct's fields to their indexes.
func fieldIndexes(t reflect.Type) map[string]int {
	indexes := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		indexes[name] = i
	}
	return indexes
}

// unknownField says which field was probably meant, or which ones there are. A name that
// does not look like one is not repeated, since it may be a value put in the wrong place.
func unknownField(name string, known map[string]int) string {
	if !looksLikeField(name) {
		return "there is a key that is not a field name: " + choices(known)
	}
	for _, candidate := range slices.Sorted(maps.Keys(known)) {
		if withinOneEdit(strings.ToLower(name), strings.ToLower(candidate)) {
			return fmt.Sprintf("unknown field %q: did you mean %q?", name, candidate)
		}
	}
	return fmt.Sprintf("unknown field %q: %s", name, choices(known))
}

func choices(known map[string]int) string {
	return "the fields here are " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}

const longestFieldName = 40

func looksLikeField(name string) bool {
	if name == "" || len(name) > longestFieldName {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '-'
	})
}

// withinOneEdit reports whether one letter added, left out, changed or swapped with its
// neighbour at most makes a of b.
func withinOneEdit(a, b string) bool {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	if len(a) == 2 && len(b) == 2 {
		return a[0] == b[1] && a[1] == b[0]
	}
	return len(a) <= 1 && len(b) <= 1
}
