package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a file. It never holds the content of a
// credential.
type Problem struct {
	// File is the path as the user knows it; empty when only bytes were parsed.
	File string
	// Line counts from 1; 0 when no line can be blamed.
	Line int
	// Field is the path of the field, such as "upstreams[0].port"; empty when it is the
	// file as a whole.
	Field string
	// Message says what is wrong and what to write instead.
	Message string
}

// Error joins what is known: "relay.yaml:12: upstreams[0].port: 70000 is not a port: …".
func (p Problem) Error() string {
	var b strings.Builder
	switch {
	case p.File != "" && p.Line > 0:
		fmt.Fprintf(&b, "%s:%d: ", p.File, p.Line)
	case p.File != "":
		fmt.Fprintf(&b, "%s: ", p.File)
	case p.Line > 0:
		fmt.Fprintf(&b, "line %d: ", p.Line)
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems are all that is wrong, so that one run shows everything there is to mend.
type Problems []Problem

// Error has one problem on each line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// orNil turns an empty list into no error.
func (ps Problems) orNil() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// locate returns an error, with Problems as those of a file.
func locate(err error, file string) error {
	var problems Problems
	if !errors.As(err, &problems) {
		return err
	}
	located := slices.Clone(problems)
	for i := range located {
		located[i].File = file
	}
	return located
}
