package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// pass is one reading of everything.
type pass struct {
	loader      *Loader
	directories map[string]*directory
	// stale are the directories with content that could not be used.
	stale    map[string]bool
	good     map[string]goodPart
	problems Problems
}

// goodPart is a part and the hash of the files that it was made of.
type goodPart struct {
	value any
	hash  string
}

// keep makes a part of the contents of its files, and returns its last good content when
// that fails; false when there is none. The part of unchanged files is the same as before,
// so that pointers can be compared. Other files make another part: a credential must not go
// to a server that it was not written for.
func keep[T any](p *pass, name string, files []string, parse func(contents [][]byte) (T, error)) (T, bool) {
	key := name + "\x00" + strings.Join(files, "\x00")
	last, known := p.loader.good[key]
	contents, err := p.read(files...)
	hash := hashOf(contents)
	if err == nil && (!known || last.hash != hash) {
		var value T
		if value, err = parse(contents); err == nil {
			last, known = goodPart{value: value, hash: hash}, true
		}
	}
	if err != nil {
		p.fail(files, err)
	}
	if !known {
		var none T
		return none, false
	}
	p.good[key] = last
	return last.value.(T), true
}

func hashOf(contents [][]byte) string {
	h := sha256.New()
	for _, content := range contents {
		fmt.Fprintf(h, "%d:", len(content))
		h.Write(content)
	}
	return string(h.Sum(nil))
}

// fail notes why the newest content of files cannot be used.
func (p *pass) fail(files []string, err error) {
	if problems := Problems(nil); errors.As(err, &problems) {
		p.problems = append(p.problems, problems...)
	} else {
		p.problems = append(p.problems, Problem{File: files[0], Message: err.Error()})
	}
	for _, file := range files {
		p.stale[filepath.Dir(file)] = true
	}
}

// directory reads a mounted Secret as a whole, once, and of any other directory what is
// asked for.
func (p *pass) directory(path string) *directory {
	d, ok := p.directories[path]
	if !ok {
		d = readDirectory(path)
		p.directories[path] = d
	}
	return d
}

// read returns the contents of files. The error, Problems, names each that cannot be had.
func (p *pass) read(paths ...string) ([][]byte, error) {
	contents := make([][]byte, len(paths))
	var problems Problems
	for i, path := range paths {
		content, err := p.directory(filepath.Dir(path)).file(filepath.Base(path))
		if err != nil {
			problems = append(problems, Problem{File: path, Message: err.Error()})
		}
		contents[i] = content
	}
	return contents, problems.orNil()
}

// missing reports whether a file is not there, which some files may be.
func (p *pass) missing(path string) bool {
	_, err := p.directory(filepath.Dir(path)).file(filepath.Base(path))
	return errors.Is(err, errMissing)
}

// version is the version of a mounted Secret that was read.
func (p *pass) version(path string) string { return p.directory(path).version }

// stamp is the stamp of a file as it was read.
func (p *pass) stamp(path string) string {
	return p.directory(filepath.Dir(path)).stamps[filepath.Base(path)]
}

// snapshot reads everything; false when there is no configuration or no certificate.
func (p *pass) snapshot() (*Snapshot, bool) {
	c, ok := p.config()
	if !ok {
		return nil, false
	}
	s := &Snapshot{Config: c, Users: p.users(c.Users.Files)}
	s.Internal, ok = p.keyPair("internal", c.TLS.Internal)
	s.External = p.external(c.TLS.External)
	s.ClientCAs, _ = p.pool("client CA", c.TLS.ClientCAFile)
	s.StatusClientCAs, _ = p.pool("status CA", c.Admin.StatusClientCAFile)
	s.TokenKeys = p.tokenKeys(c.Users.Tokens)
	for _, u := range c.Upstreams {
		if resolved, ok := p.upstream(u); ok {
			s.Upstreams = append(s.Upstreams, resolved)
		}
	}
	for _, k := range c.DKIM {
		s.DKIM = append(s.DKIM, p.dkimKey(k))
	}
	s.Loaded = p.loaded()
	p.checkExpiry(s)
	p.checkSubjects(s)
	for _, problem := range p.problems {
		s.Errors = append(s.Errors, problem)
	}
	return s, ok
}

func (p *pass) config() (*Config, bool) {
	path := p.loader.path
	c, ok := keep(p, "config", []string{path}, func(contents [][]byte) (*Config, error) {
		c, err := Parse(contents[0])
		if err != nil {
			return nil, locate(err, path)
		}
		c.resolve(filepath.Dir(path))
		return c, nil
	})
	if !ok || p.loader.last == nil {
		return c, ok
	}
	inUse := *c
	for _, field := range keepFixed(p.loader.last.Config, &inUse) {
		p.fail([]string{path}, Problems{{File: path, Field: field, Message: "was changed, which needs a restart of the relay"}})
	}
	return &inUse, true
}

// loaded is the hash of each directory's content in use. A directory of which a part
// could not be used keeps the hash of the content before, or has none.
func (p *pass) loaded() map[string]string {
	hashes := map[string]string{}
	for path, d := range p.directories {
		if !p.stale[path] {
			hashes[path] = d.hash()
		} else if last := p.loader.last; last != nil && last.Loaded[path] != "" {
			hashes[path] = last.Loaded[path]
		}
	}
	return hashes
}
