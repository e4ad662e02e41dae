package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func newTestAuthority(t *testing.T) (*Authority, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pki")
	authority, err := NewAuthority(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	return authority, dir
}

func load(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf
}

func TestAServerIsTrustedByItsNamesAndAddresses(t *testing.T) {
	t.Parallel()
	authority, dir := newTestAuthority(t)
	subject := Subject{User: "apiserver", Names: []string{"kubernetes.default.svc"}, IPs: []string{"198.18.0.2"}}
	if err := authority.Issue("apiserver", subject, now); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(load(t, dir, "ca"))
	leaf := load(t, dir, "apiserver")
	for host, trusted := range map[string]bool{
		"kubernetes.default.svc": true, "198.18.0.2": true, "198.18.0.3": false, "example.com": false,
	} {
		_, err := leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now})
		if (err == nil) != trusted {
			t.Errorf("as %s: %v, want trusted %v", host, err, trusted)
		}
	}
}

func TestAClientCannotServe(t *testing.T) {
	t.Parallel()
	authority, dir := newTestAuthority(t)
	if err := authority.Issue("admin", Subject{User: "admin", Groups: []string{"system:masters"}}, now); err != nil {
		t.Fatal(err)
	}
	leaf := load(t, dir, "admin")
	if leaf.Subject.CommonName != "admin" || leaf.Subject.Organization[0] != "system:masters" {
		t.Errorf("subject = %s", leaf.Subject)
	}
	roots := x509.NewCertPool()
	roots.AddCert(load(t, dir, "ca"))
	for usage, allowed := range map[x509.ExtKeyUsage]bool{x509.ExtKeyUsageClientAuth: true, x509.ExtKeyUsageServerAuth: false} {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}})
		if (err == nil) != allowed {
			t.Errorf("usage %v: %v, want allowed %v", usage, err, allowed)
		}
	}
}

func TestKeysAreReadableByTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	authority, dir := newTestAuthority(t)
	if err := authority.Issue("admin", Subject{User: "admin"}, now); err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(dir, "sub", "kubeconfig")
	if err := authority.WriteKubeconfig(kubeconfig, "admin", "https://198.18.0.2:6443"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "ca.key"), filepath.Join(dir, "admin.key"), kubeconfig} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "server: https://198.18.0.2:6443\n") {
		t.Errorf("the kubeconfig does not name the endpoint:\n%s", text)
	}
}

func TestAKubeconfigNeedsItsCertificate(t *testing.T) {
	t.Parallel()
	authority, dir := newTestAuthority(t)
	err := authority.WriteKubeconfig(filepath.Join(dir, "kubeconfig"), "nobody", "https://198.18.0.2:6443")
	if err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("error = %v, want one that names nobody", err)
	}
}
