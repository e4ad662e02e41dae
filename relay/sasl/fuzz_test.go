package sasl

import (
	"bytes"
	"testing"
)

// FuzzExchange sends any three responses to every mechanism. Nobody is let in who did not
// send the password; the test cannot send a proof of SCRAM, which holds for one nonce only.
func FuzzExchange(f *testing.F) {
	f.Add([]byte("\x00u\x00p"), []byte(""), []byte(""))
	f.Add([]byte("u"), []byte("p"), []byte(""))
	f.Add([]byte("u\x00u\x00"+password), []byte(password), []byte(""))
	f.Add([]byte("n,,n=u,r=nonce"), []byte("c=biws,r=nonce,p=AAAA"), []byte(""))
	f.Add([]byte("y,a=u,n=o=2Cn=3De,r=nonce,x=y"), []byte("c=biws,r=nonce,x=y,p=AAAA"), []byte("="))
	f.Add([]byte("p=tls-exporter,,n=u,r=nonce"), []byte("c=biws,r=nonce"), []byte("*"))
	f.Fuzz(func(t *testing.T, first, second, third []byte) {
		m := newMechanisms(t, Options{})
		client := Client{Binding: []byte("binding")}
		proof := []byte(password)
		for _, name := range m.Names(client) {
			x := begin(t, m, name, client)
			for _, response := range [][]byte{first, second, third} {
				_, done, err := x.Next(response)
				if done && err != nil {
					t.Fatalf("%s: done with %v", name, err)
				}
				if done && !bytes.Contains(bytes.Join([][]byte{first, second, third}, nil), proof) {
					t.Fatalf("%s let %q, %q, %q in as %q", name, first, second, third, x.User())
				}
			}
		}
	})
}
