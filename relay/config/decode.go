package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder fills a struct from YAML. It is stricter than the YAML library and speaks of
// fields where the library speaks of Go types; it also remembers the line of each field,
// so that what validation finds later can be located.
type decoder struct {
	lines    map[string]int
	problems Problems
}

// decode reads the one YAML document of data into the struct that target points at.
func decode(data []byte, target any) *decoder {
	d := &decoder{lines: map[string]int{}}
	root, err := parseDocument(data)
	if err != nil {
		d.problems = append(d.problems, syntaxProblem(err))
		return d
	}
	if root != nil {
		d.value(root, reflect.ValueOf(target).Elem(), "")
	}
	return d
}

// parseDocument returns the root node of the only document, nil when there is none.
func parseDocument(data []byte) (*yaml.Node, error) {
	stream := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	if err := stream.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := stream.Decode(&second); err == nil {
		return nil, fmt.Errorf("line %d: there is a second YAML document: keep one", second.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return document.Content[0], nil
}

var (
	syntaxLine = regexp.MustCompile(`^line (\d+): `)
	// quotedWord is content of the file, which may be a misplaced password.
	quotedWord = regexp.MustCompile(`'[^']*' `)
)

// syntaxProblem takes the line out of what the YAML parser says.
func syntaxProblem(err error) Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	p := Problem{}
	if m := syntaxLine.FindStringSubmatch(message); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	p.Message = "not valid YAML: " + quotedWord.ReplaceAllString(message, "")
	return p
}

func (d *decoder) complain(n *yaml.Node, field, format string, args ...any) {
	d.problems = append(d.problems, Problem{Line: n.Line, Field: field, Message: fmt.Sprintf(format, args...)})
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

// value decodes one node. What is written as null keeps its zero value.
func (d *decoder) value(n *yaml.Node, v reflect.Value, field string) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.complain(n, field, "anchors and aliases are not supported: write the value out")
	case n.ShortTag() == "!!null":
	case v.Kind() == reflect.Struct && v.Type() != timeType:
		d.mapping(n, v, field)
	case v.Kind() == reflect.Slice:
		d.sequence(n, v, field)
	default:
		d.scalar(n, v, field)
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.MappingNode {
		d.complain(n, field, "must be a mapping: write its fields below it, each as \"name: value\"")
		return
	}
	known := fieldIndexes(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, child := n.Content[i], n.Content[i+1]
		path := strings.TrimPrefix(field+"."+key.Value, ".")
		index, ok := known[key.Value]
		switch first := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode || !ok:
			d.complain(key, field, "%s", unknownField(key.Value, known))
		case first != 0:
			d.complain(key, path, "is already set in line %d: keep one of them", first)
		default:
			seen[key.Value] = key.Line
			d.lines[path] = key.Line
			d.value(child, v.Field(index), path)
		}
	}
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.SequenceNode {
		d.complain(n, field, "must be a list: write each element on a line that begins with \"- \"")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, child := range n.Content {
		path := fmt.Sprintf("%s[%d]", field, i)
		d.lines[path] = child.Line
		d.value(child, v.Index(i), path)
	}
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, field string) {
	if n.Kind != yaml.ScalarNode {
		d.complain(n, field, "must be a single value, not a list or mapping")
		return
	}
	if v.Type() == durationType {
		duration, err := time.ParseDuration(n.Value)
		if err != nil {
			d.complain(n, field, "not a duration: write a number and a unit, such as 5s, 30m or 120h")
			return
		}
		v.SetInt(int64(duration))
		return
	}
	if v.Type() == timeType {
		at, err := time.Parse(time.RFC3339, n.Value)
		if err != nil {
			d.complain(n, field, "not a time: write date, time and zone, such as 2026-03-01T12:00:00Z")
			return
		}
		v.Set(reflect.ValueOf(at.UTC()))
		return
	}
	if err := n.Decode(v.Addr().Interface()); err != nil {
		d.complain(n, field, "must be %s", kindName(v.Kind()))
	}
}

func kindName(kind reflect.Kind) string {
	switch kind {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	default:
		return "text"
	}
}
