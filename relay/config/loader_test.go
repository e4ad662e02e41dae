package config

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const loadable = `version: 1
hostname: mail.example.com
tls:
  internal: {certFile: tls/tls.crt, keyFile: tls/tls.key}
  external: {certFile: tls/external.crt, keyFile: tls/external.key}
  clientCAFile: clients/ca.crt
users: {files: [users-0/users.yaml, users-1/users.yaml]}
upstreams:
  - name: provider
    host: smtp.example.net
    port: 465
    tls: Implicit
    caFile: upstreams/ca.crt
    auth: {usernameFile: upstreams/user, passwordFile: upstreams/password}
admin: {statusClientCAFile: config/ca.crt}
queue: {directory: spool}
`

// site is a directory with all that a relay reads.
type site struct {
	t    *testing.T
	path string
}

func newSite(t *testing.T) site {
	t.Helper()
	s := site{t: t, path: t.TempDir()}
	s.write("relay.yaml", loadable)
	s.certificate("tls/tls", time.Now().Add(time.Hour))
	ca, _ := keyPairPEM(t, time.Now().Add(time.Hour))
	s.write("upstreams/ca.crt", ca)
	s.write("config/ca.crt", ca)
	s.write("clients/ca.crt", ca)
	s.write("upstreams/user", "app\n")
	s.write("upstreams/password", "pass word\r\n")
	s.users("users-0", "shop.default", "blog.default")
	return s
}

// write replaces a file as an editor does, by a rename.
func (s site) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.path, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path+"~", []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+"~", path); err != nil {
		s.t.Fatal(err)
	}
}

func (s site) edit(name, old, new string) {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.path, name))
	if err != nil || !bytes.Contains(content, []byte(old)) {
		s.t.Fatalf("%s: %v, or does not hold %q", name, err, old)
	}
	s.write(name, strings.Replace(string(content), old, new, 1))
}

func (s site) certificate(name string, notAfter time.Time) {
	s.t.Helper()
	certPEM, keyPEM := keyPairPEM(s.t, notAfter)
	s.write(name+".crt", certPEM)
	s.write(name+".key", keyPEM)
}

func (s site) users(dir string, names ...string) {
	s.t.Helper()
	f := &UserFile{Version: 1}
	for _, name := range names {
		f.Users = append(f.Users, User{Name: name, Senders: []string{"*"}})
	}
	data, err := MarshalUserFile(f)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(dir+"/users.yaml", string(data))
}

func (s site) loader(options LoaderOptions) *Loader {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	return NewLoader(filepath.Join(s.path, "relay.yaml"), options)
}

// dirHash is what the operator computes of a Secret with these files.
func (s site) dirHash(dir string, names ...string) string {
	s.t.Helper()
	files := map[string][]byte{}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(s.path, dir, name))
		if err != nil {
			s.t.Fatal(err)
		}
		files[name] = content
	}
	return DirHash(files)
}

func mustLoad(t *testing.T, l *Loader) *Snapshot {
	t.Helper()
	s, err := l.Load()
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return s
}

func keyPairPEM(t *testing.T, notAfter time.Time) (certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "mail.example.com"}, DNSNames: []string{"mail.example.com"},
		NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8)
}

func TestLoadReadsAllThatItPointsAt(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	s := mustLoad(t, site.loader(LoaderOptions{}))
	if len(s.Errors) != 0 {
		t.Errorf("Errors = %v", s.Errors)
	}
	if s.Internal == nil || s.Internal.Leaf == nil || s.External != nil || s.StatusClientCAs == nil {
		t.Errorf("Internal = %v, External = %v, StatusClientCAs = %v", s.Internal, s.External, s.StatusClientCAs)
	}
	if s.ClientCAs == nil {
		t.Error("the CA of clients is not loaded")
	}
	if u := s.Upstreams; len(u) != 1 || u[0].Username != "app" || u[0].Password != "pass word" || u[0].RootCAs == nil || u[0].Name != "provider" {
		t.Errorf("upstreams without their credentials or CA: %d", len(u))
	}
	if _, ok := s.Users["shop.default"]; !ok || len(s.Users) != 2 {
		t.Errorf("Users = %v", s.Users)
	}
	if want := filepath.Join(site.path, "spool"); s.Config.Queue.Directory != want {
		t.Errorf("spool is %s, want %s", s.Config.Queue.Directory, want)
	}
	for dir, want := range map[string]string{
		"":          site.dirHash("", "relay.yaml"),
		"tls":       site.dirHash("tls", "tls.crt", "tls.key"),
		"upstreams": site.dirHash("upstreams", "ca.crt", "user", "password"),
		"users-0":   site.dirHash("users-0", "users.yaml"),
		"users-1":   DirHash(nil),
		"config":    site.dirHash("config", "ca.crt"),
		"clients":   site.dirHash("clients", "ca.crt"),
	} {
		if got := s.Loaded[filepath.Join(site.path, dir)]; got != want {
			t.Errorf("Loaded[%s] = %s, want %s", dir, got, want)
		}
	}
	if len(s.Loaded) != 7 {
		t.Errorf("Loaded has %d directories, want 7", len(s.Loaded))
	}
}

func TestOnlyNamedFilesAreReadOutsideOfMountedSecrets(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	want := site.dirHash("", "relay.yaml")
	site.write("relay.log", "much")
	// Reading a pipe would wait for ever.
	if err := syscall.Mkfifo(filepath.Join(site.path, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := site.loader(LoaderOptions{})
	for range 2 {
		s, err := l.Load()
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Loaded[site.path]; got != want {
			t.Errorf("Loaded = %s, want the hash of relay.yaml alone", got)
		}
		site.write("relay.log", "more")
	}
}

func TestLoadFailsWithoutConfigurationOrCertificate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		spoil func(site)
		want  []string
	}{
		{"no relay.yaml", func(s site) { _ = os.Remove(filepath.Join(s.path, "relay.yaml")) }, []string{"relay.yaml: the file does not exist"}},
		{"bad relay.yaml", func(s site) { s.edit("relay.yaml", "port: 465", "port: 0") }, []string{"relay.yaml:11: upstreams[0].port: 0 is not a port"}},
		{"no certificate", func(s site) { _ = os.RemoveAll(filepath.Join(s.path, "tls")) },
			[]string{"tls/tls.crt: the file does not exist", "tls/tls.key: the file does not exist"}},
		{"another key", func(s site) { _, key := keyPairPEM(s.t, time.Now().Add(time.Hour)); s.write("tls/tls.key", key) },
			[]string{"tls/tls.crt: not a certificate and its key: tls: private key does not match public key"}},
		{"certificate and user file", func(s site) { s.write("tls/tls.crt", ""); s.write("users-0/users.yaml", "users: 1") },
			[]string{"tls/tls.crt: ", "users-0/users.yaml:1: users: must be a list"}},
		{"huge file", func(s site) { s.write("tls/tls.crt", strings.Repeat("x", largestFile+1)) }, []string{"tls/tls.crt: the file is larger than 4 MiB"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t)
			tc.spoil(site)
			s, err := site.loader(LoaderOptions{}).Load()
			if err == nil || s != nil {
				t.Fatalf("Load = %v, %v; want an error", s, err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Load = %v\nwant it to say %q", err, want)
				}
			}
		})
	}
}

func TestLoadKeepsLastGoodContent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, dir string
		spoil     func(site)
		want      string
	}{
		{"relay.yaml", "", func(s site) { s.edit("relay.yaml", "hostname", "hostnmae") }, `did you mean "hostname"?`},
		{"key pair", "tls", func(s site) { _, key := keyPairPEM(s.t, time.Now()); s.write("tls/tls.key", key) }, "does not match"},
		{"user file", "users-0", func(s site) { s.write("users-0/users.yaml", "{") }, "not valid YAML"},
		{"login", "upstreams", func(s site) { s.write("upstreams/password", "\n") }, "upstreams/password: is empty"},
		{"two lines", "upstreams", func(s site) { s.write("upstreams/password", "hunter2\nhunter2\n") }, "has more than one line"},
		{"CA", "upstreams", func(s site) { s.write("upstreams/ca.crt", "x") }, "upstreams/ca.crt: holds no PEM certificate"},
		{"status CA", "config", func(s site) { _ = os.Remove(filepath.Join(s.path, "config/ca.crt")) }, "config/ca.crt: the file does not exist"},
		{"restart", "", func(s site) { s.edit("relay.yaml", "mail.example.com", "other.example.com") }, "hostname: was changed, which needs a restart"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			site := newSite(t)
			l := site.loader(LoaderOptions{})
			before := mustLoad(t, l)
			tc.spoil(site)
			for range 2 {
				after := mustLoad(t, l)
				if len(after.Errors) != 1 || !strings.Contains(after.Errors[0].Error(), tc.want) || strings.Contains(after.Errors[0].Error(), "hunter2") {
					t.Errorf("Errors = %v, want one that says %q", after.Errors, tc.want)
				}
				if fmt.Sprint(after.Loaded) != fmt.Sprint(before.Loaded) {
					t.Errorf("Loaded = %v\nwant that of what is in use: %v", after.Loaded, before.Loaded)
				}
				if after.Config.Hostname != "mail.example.com" || after.Internal != before.Internal || len(after.Users) != 2 ||
					after.Upstreams[0].Password != "pass word" || after.Upstreams[0].RootCAs != before.Upstreams[0].RootCAs ||
					after.StatusClientCAs != before.StatusClientCAs {
					t.Error("the last good content is not in use")
				}
			}
		})
	}
}

func TestLoadLeavesOutUpstreamWithoutItsLogin(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	if err := os.Remove(filepath.Join(site.path, "upstreams/password")); err != nil {
		t.Fatal(err)
	}
	l := site.loader(LoaderOptions{})
	s := mustLoad(t, l)
	if len(s.Upstreams) != 0 || len(s.Errors) != 1 || s.Loaded[filepath.Join(site.path, "upstreams")] != "" {
		t.Errorf("%d upstreams, errors %v, loaded %v; want none in use", len(s.Upstreams), s.Errors, s.Loaded)
	}
	site.write("upstreams/password", "late")
	if s = mustLoad(t, l); len(s.Upstreams) != 1 || s.Upstreams[0].Password != "late" || len(s.Errors) != 0 {
		t.Errorf("the late Secret is not in use: %v", s.Errors)
	}
}

func TestLoadRefusesToUseOldLoginFromOtherFiles(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	l := site.loader(LoaderOptions{})
	mustLoad(t, l)
	site.edit("relay.yaml", "upstreams/password", "upstreams/other")
	if s := mustLoad(t, l); len(s.Upstreams) != 0 {
		t.Error("the upstream is used with the password of another file")
	}
}

func TestLoadSaysWhenUserIsInTwoFiles(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.users("users-1", "shop.default", "third.default")
	s := mustLoad(t, site.loader(LoaderOptions{}))
	if len(s.Users) != 3 || len(s.Errors) != 1 || !strings.Contains(s.Errors[0].Error(), `users-1/users.yaml: user "shop.default" is left out: what is in its field name is in another user file`) {
		t.Errorf("%d users, errors %v", len(s.Users), s.Errors)
	}
}

func TestLoadLeavesOutUserWithTheCertificateOfAnother(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.write("users-0/users.yaml", "version: 1\nusers:\n  - {name: a, certificates: ['CN:a']}\n")
	site.write("users-1/users.yaml", "version: 1\nusers:\n  - {name: b, certificates: ['CN:b', 'CN:a']}\n  - {name: c, certificates: ['CN:c']}\n")
	s := mustLoad(t, site.loader(LoaderOptions{}))
	_, kept := s.Users["b"]
	if kept || len(s.Users) != 2 || len(s.Errors) != 1 || !strings.Contains(s.Errors[0].Error(), `user "b" is left out: what is in its field certificates`) {
		t.Errorf("users %v, errors %v", s.Users, s.Errors)
	}
}

func TestLoadServesExpiredCertificateAndSaysSo(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.certificate("tls/external", time.Now().Add(30*time.Minute))
	now := time.Now()
	l := site.loader(LoaderOptions{Now: func() time.Time { return now }})
	if s := mustLoad(t, l); s.External == nil || len(s.Errors) != 0 || l.changed() {
		t.Fatalf("external is %v, errors %v", s.External, s.Errors)
	}
	now = now.Add(31 * time.Minute)
	if !l.changed() {
		t.Error("the end of a certificate is no change")
	}
	s := mustLoad(t, l)
	if s.External == nil || len(s.Errors) != 1 || !strings.Contains(s.Errors[0].Error(), "tls/external.crt: the certificate expired at") {
		t.Errorf("external is %v, errors %v", s.External, s.Errors)
	}
	if s.Loaded[filepath.Join(site.path, "tls")] == "" {
		t.Error("an expired certificate counts as not loaded")
	}
}

// mount exchanges the content of a directory as the kubelet does with a Secret.
func (s site) mount(dir string, files map[string]string) {
	s.t.Helper()
	root := filepath.Join(s.path, dir)
	version, err := os.MkdirTemp(mkdir(s.t, root), "..version-")
	if err != nil {
		s.t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(version, name), []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(root, name)); err != nil && !os.IsExist(err) {
			s.t.Fatal(err)
		}
	}
	link := filepath.Join(root, "..data_tmp")
	if err := os.Symlink(filepath.Base(version), link); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(root, "..data")); err != nil {
		s.t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWatchSeesMountedSecretsAndPlainEdits(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.edit("relay.yaml", "tls/tls.crt, keyFile: tls/tls.key", "mounted/tls.crt, keyFile: mounted/tls.key")
	certPEM, keyPEM := keyPairPEM(t, time.Now().Add(time.Hour))
	site.mount("mounted", map[string]string{"tls.crt": certPEM, "tls.key": keyPEM})
	// The poll is far away, so that what is seen was seen by notification.
	l := site.loader(LoaderOptions{Poll: time.Hour, Settle: 10 * time.Millisecond})
	first := mustLoad(t, l)
	snapshots := watch(t, l)

	site.users("users-0", "shop.default", "blog.default", "new.default")
	waitFor(t, snapshots, "the new user", func(s *Snapshot) bool { return len(s.Users) == 3 })

	certPEM, keyPEM = keyPairPEM(t, time.Now().Add(2*time.Hour))
	files := map[string]string{"tls.crt": certPEM, "tls.key": keyPEM, "unused": "x"}
	site.mount("mounted", files)
	s := waitFor(t, snapshots, "the new certificate", func(s *Snapshot) bool {
		return !s.Internal.Leaf.Equal(first.Internal.Leaf)
	})
	want := DirHash(map[string][]byte{"tls.crt": []byte(certPEM), "tls.key": []byte(keyPEM), "unused": []byte("x")})
	if got := s.Loaded[filepath.Join(site.path, "mounted")]; got != want {
		t.Errorf("Loaded = %s, want the hash of the Secret %s", got, want)
	}
	files["unused"] = "y"
	site.mount("mounted", files)
	waitFor(t, snapshots, "a change of an unused key", func(s *Snapshot) bool {
		return s.Loaded[filepath.Join(site.path, "mounted")] != want
	})
}

func TestWatchPollsWhatIsNotThereYet(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	l := site.loader(LoaderOptions{Poll: 10 * time.Millisecond})
	mustLoad(t, l)
	snapshots := watch(t, l)
	site.users("users-1", "late.default")
	waitFor(t, snapshots, "the user of the new directory", func(s *Snapshot) bool { return len(s.Users) == 3 })
}

func TestChangedIgnoresOtherFiles(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	l := site.loader(LoaderOptions{})
	mustLoad(t, l)
	site.write("relay.log", "a line")
	if l.changed() {
		t.Error("a log next to relay.yaml is a change: each reload would log and cause the next")
	}
	site.write("upstreams/password", "other")
	if !l.changed() {
		t.Error("a new password is no change")
	}
}

func TestWatchLogsEachProblemOnce(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	var log bytes.Buffer
	l := site.loader(LoaderOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	mustLoad(t, l)
	reload := func() { l.reload(func(*Snapshot) {}) }
	site.write("users-0/users.yaml", "{")
	reload()
	site.users("users-1", "other.default")
	reload()
	reload()
	site.users("users-0", "shop.default")
	reload()
	if got := strings.Count(log.String(), "cannot be used"); got != 1 {
		t.Errorf("the problem was logged %d times:\n%s", got, &log)
	}
	if !strings.Contains(log.String(), "problem of the configuration is gone") {
		t.Errorf("the end of the problem was not logged:\n%s", &log)
	}
}

func watch(t *testing.T, l *Loader) <-chan *Snapshot {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	snapshots, done := make(chan *Snapshot, 100), make(chan struct{})
	go func() {
		defer close(done)
		l.Watch(ctx, func(s *Snapshot) { snapshots <- s })
	}()
	t.Cleanup(func() { cancel(); <-done })
	return snapshots
}

func waitFor(t *testing.T, snapshots <-chan *Snapshot, what string, reached func(*Snapshot) bool) *Snapshot {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case s := <-snapshots:
			if reached(s) {
				return s
			}
		case <-deadline:
			t.Fatalf("%s did not arrive", what)
		}
	}
}
