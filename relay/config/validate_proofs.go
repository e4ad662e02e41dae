package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// certificateKinds are the kinds of names in a certificate that can stand for a user.
var certificateKinds = []string{"URI:", "DNS:", "email:", "CN:"}

// longestSubject is more than OpenID Connect allows (255) and Kubernetes makes (338).
const longestSubject = 512

// validateProofs checks what the user logs in with besides passwords.
func (u *User) validateProofs(k *checker, prefix string) {
	for i, name := range u.Certificates {
		if !slices.ContainsFunc(certificateKinds, func(kind string) bool { return len(name) > len(kind) && strings.HasPrefix(name, kind) }) {
			k.failf(fmt.Sprintf("%scertificates[%d]", prefix, i),
				"%q is not a name with its kind: write one such as URI:mailrelay://shop/app, DNS:app.shop.example, email:app@example.com or CN:app", name)
		}
		if misnamesKey(name) {
			k.failf(fmt.Sprintf("%scertificates[%d]", prefix, i),
				"%q ends in no name of a key: write sha256: in lower case and the 64 hex digits, in lower case, of the SHA-256 of the public key", name)
		}
	}
	for i, end := range u.CertificateEnds {
		if !slices.Contains(u.Certificates, end.Name) {
			k.failf(fmt.Sprintf("%scertificateEnds[%d].name", prefix, i), "%q is not among certificates: add it there, or take it away here", end.Name)
		}
	}
	for i, hash := range u.Tokens {
		if !isSHA256(hash) {
			// What is there may be the token itself.
			k.failf(fmt.Sprintf("%stokens[%d]", prefix, i), "not the SHA-256 of a token: write its 64 hex digits in lower case")
		}
	}
	for i, subject := range u.Subjects {
		if subject == "" || len(subject) > longestSubject || strings.ContainsFunc(subject, unicode.IsControl) {
			k.failf(fmt.Sprintf("%ssubjects[%d]", prefix, i),
				"%q is no subject of a token: write its claim sub, such as system:serviceaccount:shop:checkout", subject)
		}
	}
	if u.Require != "" {
		k.oneOf(prefix+"require", u.Require, RequireAny, RequireAll)
	}
	if u.Require == RequireAll && (len(u.Certificates) == 0 || len(u.Passwords)+len(u.Tokens)+len(u.Subjects) == 0) {
		k.failf(prefix+"require", "All wants two factors: write certificates, and passwords, tokens or subjects")
	}
}

// isSHA256 reports whether s is a SHA-256 in hex digits of lower case.
func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && s == strings.ToLower(s)
}

// misnamesKey reports whether a URI is meant to name a key and does not. It would stand for the
// user in a certificate of any key, or in none.
func misnamesKey(name string) bool {
	last := name[strings.LastIndexByte(name, '/')+1:]
	if !strings.HasPrefix(name, "URI:") || len(last) < len(keyPrefix) || !strings.EqualFold(last[:len(keyPrefix)], keyPrefix) {
		return false
	}
	hash, ok := strings.CutPrefix(last, keyPrefix)
	return !ok || !isSHA256(hash)
}
