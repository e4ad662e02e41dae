package config

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// tokenKeysFile is a file of the issuer with these keys, by their IDs.
func tokenKeysFile(t *testing.T, issuer string, keys ...jose.JSONWebKey) []byte {
	t.Helper()
	content, err := json.Marshal(map[string]any{"issuer": issuer, "keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestTokenKeysAreThoseThatCanVerify(t *testing.T) {
	t.Parallel()
	ed, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	content := tokenKeysFile(t, "https://issuer.test",
		jose.JSONWebKey{KeyID: "rsa", Key: big.Public(), Use: "sig"},
		jose.JSONWebKey{KeyID: "ed", Key: ed},
		jose.JSONWebKey{KeyID: "ec", Key: ecKey(t).Public()},
		jose.JSONWebKey{KeyID: "small", Key: small.Public()},
		jose.JSONWebKey{KeyID: "secret", Key: []byte(rand.Text())},
		jose.JSONWebKey{KeyID: "private", Key: ecKey(t)},
		jose.JSONWebKey{KeyID: "encryption", Key: ecKey(t).Public(), Use: "enc"},
		jose.JSONWebKey{Key: ecKey(t).Public()},
	)
	content = bytes.Replace(content, []byte(`"keys":[`), []byte(`"keys":[{"kty":"future","kid":"x"},`), 1)
	known, err := ParseTokenKeys(content)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, key := range known.Keys {
		ids = append(ids, key.KeyID)
	}
	if got := strings.Join(ids, " "); got != "ec ed rsa" || known.Issuer != "https://issuer.test" {
		t.Errorf("issuer %q, keys %s", known.Issuer, got)
	}

	written, err := known.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseTokenKeys(written)
	if err != nil {
		t.Fatalf("what Marshal wrote: %v\n%s", err, written)
	}
	if rewritten, err := again.Marshal(); err != nil || !bytes.Equal(rewritten, written) {
		t.Errorf("written again it is another file, %v:\n%s\n%s", err, written, rewritten)
	}
}

func TestTokenKeysThatAreNoneSayWhatToWrite(t *testing.T) {
	t.Parallel()
	key := jose.JSONWebKey{KeyID: "ec", Key: ecKey(t).Public()}
	for name, tc := range map[string]struct {
		content []byte
		want    string
	}{
		"nothing":         {nil, "not a JWK Set"},
		"a list":          {[]byte("[]"), "not a JWK Set"},
		"no issuer":       {tokenKeysFile(t, "", key), "no issuer"},
		"no keys":         {tokenKeysFile(t, "https://issuer.test"), "no key"},
		"a secret's only": {tokenKeysFile(t, "https://issuer.test", jose.JSONWebKey{KeyID: "a", Key: []byte("hunter2")}), "no key"},
	} {
		_, err := ParseTokenKeys(tc.content)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

func TestTokensNeedAudienceAndKeys(t *testing.T) {
	t.Parallel()
	for section, want := range map[string]string{
		"{audience: a}": "users.tokens.keysFile: missing",
		"{keysFile: a}": "users.tokens.audience: missing",
	} {
		_, err := Parse([]byte(minimal + "users:\n  tokens: " + section + "\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", section, err, want)
		}
	}
}

func TestSubjectsWithoutTokensAreReported(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.write("users-1/users.yaml", "version: 1\nusers:\n  - {name: a, subjects: [s]}\n")
	s := mustLoad(t, site.loader(LoaderOptions{}))
	if len(s.Errors) != 1 || !strings.Contains(s.Errors[0].Error(), "relay.yaml: users.tokens: missing") {
		t.Errorf("errors %v", s.Errors)
	}
}

// TestTokenKeysFollowTheirFile: it may come late, and a broken one takes no good one away.
func TestTokenKeysFollowTheirFile(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	site.edit("relay.yaml", "users: {", "users: {tokens: {audience: a, keysFile: tokens/keys.json}, ")
	loader := site.loader(LoaderOptions{})
	if s := mustLoad(t, loader); s.TokenKeys != nil || len(s.Errors) > 0 {
		t.Errorf("without a file: %v, errors %v", s.TokenKeys, s.Errors)
	}
	site.write("tokens/keys.json", string(tokenKeysFile(t, "https://issuer.test", jose.JSONWebKey{KeyID: "a", Key: ecKey(t).Public()})))
	if !loader.changed() {
		t.Error("the file is not noticed")
	}
	good := mustLoad(t, loader).TokenKeys
	if good == nil || good.Keys[0].KeyID != "a" {
		t.Fatalf("keys are %v", good)
	}
	site.write("tokens/keys.json", "broken")
	s := mustLoad(t, loader)
	if s.TokenKeys != good || len(s.Errors) != 1 || !strings.Contains(s.Errors[0].Error(), "keys.json: not a JWK Set") {
		t.Errorf("with a broken file: %v, errors %v", s.TokenKeys, s.Errors)
	}
}
