package config

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Tokens says which signed tokens (RFC 7519) log users in: those of one issuer, whose keys
// verify them without asking it. The zero Tokens means none.
type Tokens struct {
	// Audience is what a token must be for (its claim "aud").
	Audience string `yaml:"audience,omitempty"`
	// KeysFile holds the TokenKeys. While it is missing no token can be judged.
	KeysFile string `yaml:"keysFile,omitempty"`
}

// Enabled reports whether signed tokens can log in.
func (t *Tokens) Enabled() bool { return *t != Tokens{} }

func (t *Tokens) validate(k *checker) {
	if !t.Enabled() {
		return
	}
	if t.Audience == "" {
		k.failf("users.tokens.audience", "missing: write what tokens must be for, or those for other services would log in here")
	}
	if t.KeysFile == "" {
		k.failf("users.tokens.keysFile", "missing: write the path of the file with the issuer and its keys")
	}
}

// TokenKeys are an issuer of tokens and the public keys that it signs with. As a file they are
// a JWK Set (RFC 7517 §5) with one more member, "issuer".
type TokenKeys struct {
	// Issuer as tokens name it (their claim "iss").
	Issuer string `json:"issuer"`
	// Keys are public, each has an ID, and they are sorted by it.
	Keys []jose.JSONWebKey `json:"keys"`
}

// smallestRSA is the size in bits below which a signature proves nothing (RFC 7518 §3.3).
const smallestRSA = 2048

// ParseTokenKeys reads TokenKeys. Keys of other kinds and uses are passed over, as RFC 7517 §5
// asks for.
func ParseTokenKeys(content []byte) (*TokenKeys, error) {
	var set struct {
		Issuer string            `json:"issuer"`
		Keys   []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(content, &set); err != nil {
		return nil, errors.New(`not a JWK Set with an issuer: write {"issuer": "https://…", "keys": […]}`)
	}
	if set.Issuer == "" {
		return nil, errors.New(`has no issuer: write beside "keys" a member "issuer" as the tokens have it in their claim iss`)
	}
	known := &TokenKeys{Issuer: set.Issuer}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := key.UnmarshalJSON(raw); err == nil && canVerify(&key) {
			known.Keys = append(known.Keys, key)
		}
	}
	if len(known.Keys) == 0 {
		return nil, errors.New("has no key that can verify tokens: write public keys (RSA of 2048 bits or more, EC or Ed25519), each with a kid")
	}
	slices.SortStableFunc(known.Keys, func(a, b jose.JSONWebKey) int { return cmp.Compare(a.KeyID, b.KeyID) })
	return known, nil
}

// canVerify passes over secrets as well: who knows one could sign.
func canVerify(key *jose.JSONWebKey) bool {
	if !key.IsPublic() || !key.Valid() || key.KeyID == "" || key.Use != "" && key.Use != "sig" {
		return false
	}
	public, isRSA := key.Key.(*rsa.PublicKey)
	return !isRSA || public.N.BitLen() >= smallestRSA
}

// Marshal writes the file, the same bytes for the same keys in any order.
func (t *TokenKeys) Marshal() ([]byte, error) {
	content, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("write the keys of a token issuer: %w", err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, content, "", "  "); err != nil {
		return nil, fmt.Errorf("write the keys of a token issuer: %w", err)
	}
	indented.WriteByte('\n')
	return indented.Bytes(), nil
}
