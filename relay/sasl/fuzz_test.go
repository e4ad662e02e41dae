package sasl

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzExchange sends any three responses to every mechanism. Nobody is let in who did not
// send the password or token, or has the certificate. A proof of SCRAM holds for one nonce
// only: none can be right.
func FuzzExchange(f *testing.F) {
	f.Add([]byte("\x00u\x00p"), []byte(""), []byte(""))
	f.Add([]byte("u"), []byte("p"), []byte(""))
	f.Add([]byte("u\x00u\x00"+password), []byte(password), []byte(""))
	f.Add([]byte("n,,n=u,r=nonce"), []byte("c=biws,r=nonce,p=AAAA"), []byte(""))
	f.Add([]byte("y,a=u,n=o=2Cn=3De,r=nonce,x=y"), []byte("c=biws,r=nonce,x=y,p=AAAA"), []byte("="))
	f.Add([]byte("p=tls-exporter,,n=u,r=nonce"), []byte("c=biws,r=nonce"), []byte("*"))
	f.Add([]byte("n,a=t,\x01host=h\x01auth=Bearer "+token+"\x01\x01"), []byte("\x01"), []byte(""))
	f.Add([]byte("user=t\x01auth=bearer wrong\x01\x01"), []byte(""), []byte(""))
	f.Add([]byte("c"), []byte("both"), []byte("\x00both\x00"+password))
	m := newMechanisms(f, Options{Tokens: HashedTokens{testUsers()}})
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		client := Client{Binding: []byte("binding"), Certificate: []string{"CN:c", "CN:nobody"}}
		all := bytes.Join([][]byte{first, second, third}, nil)
		for _, name := range m.Names(client) {
			x := begin(t, m, name, client)
			for _, response := range [][]byte{first, second, third} {
				_, done, err := x.Next(response)
				if done && err != nil {
					t.Fatalf("%s: done with %v", name, err)
				}
				proven := bytes.Contains(all, []byte(password)) || bytes.Contains(all, []byte(token)) || name == "EXTERNAL" && x.User() == "c"
				if done && !proven {
					t.Fatalf("%s let %q, %q, %q in as %q", name, first, second, third, x.User())
				}
			}
		}
	})
}

// FuzzSignedToken sends any token. None is taken but what the issuer signed; its signature can be
// written in several ways.
func FuzzSignedToken(f *testing.F) {
	key := newECSigner(f, "ec")
	tokens, _ := trusting(key)
	good := key.sign(f, podClaims(nil))
	signed := good[:strings.LastIndexByte(good, '.')+1]
	f.Add(good, "")
	f.Add(good, "checkout.shop")
	f.Add(key.sign(f, podClaims(map[string]any{"aud": "other"})), "")
	f.Add(newECSigner(f, "unknown").sign(f, podClaims(nil)), "")
	f.Add("eyJhbGciOiJub25lIn0.e30.", "")
	f.Add("..", "nobody")
	f.Fuzz(func(t *testing.T, token, claimed string) {
		owner, err := tokens.ValidateToken(token, claimed)
		if err == nil && (!strings.HasPrefix(token, signed) || owner.User != "checkout.shop") {
			t.Fatalf("%q let %q in as %q", token, claimed, owner.User)
		}
	})
}
