package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

func (p *pass) keyPair(name string, files KeyPair) (*tls.Certificate, bool) {
	paths := []string{files.CertFile, files.KeyFile}
	return keep(p, name, paths, func(contents [][]byte) (*tls.Certificate, error) {
		return parseKeyPair(contents[0], contents[1])
	})
}

// external is nil when no external certificate is there, which is no problem.
func (p *pass) external(files KeyPair) *tls.Certificate {
	if files.CertFile == "" || p.missing(files.CertFile) && p.missing(files.KeyFile) {
		return nil
	}
	pair, _ := p.keyPair("external", files)
	return pair
}

func (p *pass) pool(name, path string) (*x509.CertPool, bool) {
	if path == "" {
		return nil, true
	}
	return keep(p, name, []string{path}, func(contents [][]byte) (*x509.CertPool, error) {
		return parsePool(contents[0])
	})
}

// tokenKeys are nil while the file is missing, which is no problem: the operator may not have
// got them yet.
func (p *pass) tokenKeys(t Tokens) *TokenKeys {
	if t.KeysFile == "" || p.missing(t.KeysFile) {
		return nil
	}
	keys, _ := keep(p, "token keys", []string{t.KeysFile}, func(contents [][]byte) (*TokenKeys, error) {
		return ParseTokenKeys(contents[0])
	})
	return keys
}

func (p *pass) upstream(u Upstream) (ResolvedUpstream, bool) {
	pool, poolOK := p.pool("upstream CA "+u.Name, u.CAFile)
	tokenPool, tokenPoolOK := p.pool("token CA "+u.Name, u.Auth.OAuth2.CAFile)
	certificate, certificateOK := p.clientCertificate(u)
	login, loginOK := p.login(u)
	return ResolvedUpstream{
		Upstream: u, Login: login, ClientCertificate: certificate, RootCAs: pool, TokenRootCAs: tokenPool,
	}, poolOK && tokenPoolOK && certificateOK && loginOK
}

func (p *pass) clientCertificate(u Upstream) (*tls.Certificate, bool) {
	if u.Auth.Certificate == (KeyPair{}) {
		return nil, true
	}
	return p.keyPair("upstream certificate "+u.Name, u.Auth.Certificate)
}

// login reads the credentials of an upstream. All of them are kept or replaced together.
func (p *pass) login(u Upstream) (Login, bool) {
	name := "upstream login " + u.Name
	var credentials []credential
	var paths []string
	for i, c := range u.Auth.credentials() {
		if *c.file != "" {
			credentials, paths = append(credentials, c), append(paths, *c.file)
			// The same files in other places are another login.
			name += fmt.Sprint(" ", i)
		}
	}
	if len(paths) == 0 {
		return Login{}, true
	}
	return keep(p, name, paths, func(contents [][]byte) (login Login, err error) {
		var problems Problems
		for i, content := range contents {
			if *credentials[i].value(&login), err = parseCredential(content); err != nil {
				problems = append(problems, Problem{File: paths[i], Message: err.Error()})
			}
		}
		return login, problems.orNil()
	})
}

// users are those of all files together. A file that is missing holds none.
func (p *pass) users(files []string) map[string]User {
	users := map[string]User{}
	taken := map[identity]bool{}
	for _, path := range files {
		for _, u := range p.userFile(path) {
			if id, found := firstTaken(taken, &u); found {
				p.fail([]string{path}, fmt.Errorf("user %q is left out: what is in its field %s is in another user file already: keep one", u.Name, id.kind))
				continue
			}
			users[u.Name] = u
		}
	}
	return users
}

// firstTaken returns what of a user another one has already. If that is nothing, all of it
// is taken from now on.
func firstTaken(taken map[identity]bool, u *User) (identity, bool) {
	for _, id := range u.identities() {
		if taken[id] {
			return id, true
		}
	}
	for _, id := range u.identities() {
		taken[id] = true
	}
	return identity{}, false
}

func (p *pass) userFile(path string) []User {
	if p.missing(path) {
		return nil
	}
	users, _ := keep(p, "users", []string{path}, func(contents [][]byte) ([]User, error) {
		f, err := ParseUserFile(contents[0])
		if err != nil {
			return nil, locate(err, path)
		}
		return f.Users, nil
	})
	return users
}

// checkSubjects reports users that wait for tokens which nobody has said how to verify.
func (p *pass) checkSubjects(s *Snapshot) {
	if s.Config.Users.Tokens.Enabled() {
		return
	}
	for _, u := range s.Users {
		if len(u.Subjects) > 0 {
			p.problems = append(p.problems, Problem{File: p.loader.path, Field: "users.tokens", Message: "missing, so that subjects of users log nobody in: write audience and keysFile, or take the subjects out of the user files"})
			return
		}
	}
}

// checkExpiry reports certificates that clients refuse by now. They are served all the
// same: to those clients no certificate would be no better.
func (p *pass) checkExpiry(s *Snapshot) {
	files := map[string]string{InternalCertificate: s.Config.TLS.Internal.CertFile, ExternalCertificate: s.Config.TLS.External.CertFile}
	for _, c := range s.Certificates() {
		if p.loader.options.Now().After(c.NotAfter) {
			p.problems = append(p.problems, Problem{File: files[c.Name], Message: fmt.Sprintf(
				"the certificate expired at %s: put a new one in its place", c.NotAfter.UTC().Format("2006-01-02 15:04 MST"))})
		}
	}
}
