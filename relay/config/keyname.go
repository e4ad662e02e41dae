package config

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// keyPrefix begins the KeyNames.
const keyPrefix = "sha256:"

// KeyName is the name of a public key, given as SubjectPublicKeyInfo in DER: its SHA-256 in hex
// after "sha256:". A URI whose path ends in such a name stands for a user only in a certificate
// of just that key. So it is worth nothing to who can have a CA sign it for a key of theirs, and
// a list of users that names another key has withdrawn the certificate.
func KeyName(publicKey []byte) string {
	sum := sha256.Sum256(publicKey)
	return keyPrefix + hex.EncodeToString(sum[:])
}

// NamesKey reports whether the last part of a URI's path is meant to be a KeyName, and returns it.
func NamesKey(uri string) (name string, ok bool) {
	name = uri[strings.LastIndexByte(uri, '/')+1:]
	return name, strings.HasPrefix(name, keyPrefix)
}
