package relay_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

const (
	tokenIssuer   = "https://issuer.test"
	tokenAudience = "mailrelay.dev/shop/relay"
)

// issuer signs tokens as a cluster does, with a key that the relay knows.
type issuer struct {
	// id names the key that the relay knows.
	id           string
	known, other *ecdsa.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	return &issuer{id: "known", known: keys[0], other: keys[1]}
}

// keys is the file that the relay reads, with the keys of others as well.
func (i *issuer) keys(t *testing.T, others ...*issuer) string {
	t.Helper()
	keys := &config.TokenKeys{Issuer: tokenIssuer}
	for _, signer := range append(others, i) {
		keys.Keys = append(keys.Keys, jose.JSONWebKey{KeyID: signer.id, Key: signer.known.Public()})
	}
	content, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// token is that of a service account, whose name may be followed by what is wrong with it.
func (i *issuer) token(what string) (string, error) {
	account, fault, _ := strings.Cut(what, " ")
	audience, expiry, id, key := tokenAudience, time.Now().Add(time.Hour), i.id, i.known
	switch fault {
	case "":
	case "expired":
		expiry = time.Now().Add(-2 * time.Minute)
	case "elsewhere":
		audience = "mailrelay.dev/shop/other"
	case "forged":
		key = i.other
	case "unknown":
		id, key = "unknown", i.other
	default:
		return "", fmt.Errorf("a token cannot be %q", fault)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{KeyID: id, Key: key}}, nil)
	if err != nil {
		return "", err
	}
	return jwt.Signed(signer).Claims(map[string]any{
		"iss": tokenIssuer, "aud": audience, "exp": expiry.Unix(), "sub": "system:serviceaccount:shop:" + account,
		"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": account}},
	}).Serialize()
}
