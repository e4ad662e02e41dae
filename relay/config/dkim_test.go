package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"strings"
	"testing"
)

func pkcs8PEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func pkcs1PEM(key *rsa.PrivateKey) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ed25519Key(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestDKIMKeysInEveryForm(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0") // lets the test make a key that is too short
	long := rsaKey(t, 2048)
	short := rsaKey(t, 768)
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, content, want string }{
		{"RSA in PKCS#1", pkcs1PEM(long), ""},
		{"RSA in PKCS#8", pkcs8PEM(t, long), ""},
		{"Ed25519", "# made today\n" + pkcs8PEM(t, ed25519Key(t)), ""},
		{"short RSA", pkcs1PEM(short), "RSA key of 768 bits"},
		{"another kind", pkcs8PEM(t, curve), "neither RSA nor Ed25519"},
		{"no PEM", "key", "holds no PEM block"},
		{"public", strings.ReplaceAll(pkcs8PEM(t, long), "PRIVATE", "PUBLIC"), "something else than a private key"},
		{"cut off", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})), "cannot be read"},
	} {
		_, err := ParseDKIMKey([]byte(tc.content))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
}

func TestDKIMKeysAreReloaded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.edit("relay.yaml", "admin:", "dkim: [{domain: example.com, selector: a, keyFile: dkim/a.pem}]\nadmin:")
	l := s.loader(LoaderOptions{})
	if got := mustLoad(t, l); len(got.DKIM) != 1 || got.DKIM[0].Signer != nil || len(got.Errors) != 1 {
		t.Fatalf("without the file: %+v, %v", got.DKIM, got.Errors)
	}
	first, second := ed25519Key(t), ed25519Key(t)
	for _, step := range []struct {
		content string
		want    ed25519.PrivateKey
		errors  int
	}{{pkcs8PEM(t, first), first, 0}, {"rubbish", first, 1}, {pkcs8PEM(t, second), second, 0}} {
		s.write("dkim/a.pem", step.content)
		if !l.changed() {
			t.Error("the change is not seen")
		}
		got := mustLoad(t, l)
		if !step.want.Equal(got.DKIM[0].Signer) || len(got.Errors) != step.errors {
			t.Errorf("%.10q: %+v, %v", step.content, got.DKIM, got.Errors)
		}
	}
}

func TestShortDKIMKeyIsUsedWithAWarning(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.edit("relay.yaml", "admin:", "dkim: [{domain: example.com, selector: a, keyFile: a.pem}]\nadmin:")
	s.write("a.pem", pkcs1PEM(rsaKey(t, 1024)))
	var log bytes.Buffer
	l := s.loader(LoaderOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for range 2 {
		if got := mustLoad(t, l); got.DKIM[0].Signer == nil || len(got.Errors) != 0 {
			t.Fatalf("%+v, %v", got.DKIM, got.Errors)
		}
	}
	if strings.Count(log.String(), "this DKIM key is short") != 1 {
		t.Errorf("log %q", log.String())
	}
}

func TestDKIMFieldsAreChecked(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"dkim: [{domain: com, selector: a, keyFile: k}]":                                         `dkim[0].domain: "com" is not a domain`,
		"dkim: [{domain: example.com, selector: a_b, keyFile: k}]":                               `dkim[0].selector: "a_b" is not a selector`,
		"dkim: [{domain: example.com, selector: a.b}]":                                           "dkim[0].keyFile: missing",
		"dkim: [{domain: a.b, selector: s, keyFile: k}, {domain: a.b, selector: s, keyFile: l}]": `dkim[1].selector: "s" is there twice`,
	} {
		if _, err := Parse([]byte(minimal + in + "\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", in, err)
		}
	}
	bad := strings.Replace(minimal, "port: 465", "port: 465\n    unsignedHeaders: [Date, from, 'a:']", 1)
	_, err := Parse([]byte(bad))
	if err == nil || !strings.Contains(err.Error(), "upstreams[0].unsignedHeaders[1]: From must be signed") ||
		!strings.Contains(err.Error(), `upstreams[0].unsignedHeaders[2]: "a:" is not the name`) {
		t.Errorf("unsignedHeaders: %v", err)
	}
}
