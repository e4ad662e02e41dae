package config

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/xdg-go/scram"
)

const (
	// VerifierIterations is the iteration count of NewVerifier, the least that RFC 7677 §4
	// allows. More would only cost time at each login: generated passwords have 256 bits and
	// cannot be guessed from a verifier whatever the count.
	VerifierIterations = 4096
	// maxVerifierIterations bounds what one login can cost: about a fifth of a second.
	maxVerifierIterations = 1_000_000
	// VerifierSaltSize is the size in bytes of the salts of NewVerifier.
	VerifierSaltSize = 16
	// verifierSubject fills the user name that the scram package wants; keys do not depend on it.
	verifierSubject = "verifier"
)

// NewVerifier derives a SCRAM-SHA-256 verifier with a fresh salt from a password. The
// password may be any text that SASLprep (RFC 4013) allows, and not empty.
func NewVerifier(password string) (Verifier, error) {
	salt := make([]byte, VerifierSaltSize)
	// crypto/rand.Read never fails since Go 1.24: it ends the process instead.
	_, _ = rand.Read(salt)
	return newVerifier(password, salt, VerifierIterations)
}

// Successor derives a verifier of the next password of the same user. It has the salt and
// the iterations of v, so that SCRAM accepts both passwords while they overlap: it can tell
// a client only one salt.
func (v Verifier) Successor(password string) (Verifier, error) {
	c, err := v.Credentials()
	if err != nil {
		return Verifier{}, err
	}
	return newVerifier(password, []byte(c.Salt), c.Iters)
}

func newVerifier(password string, salt []byte, iterations int) (Verifier, error) {
	if password == "" {
		return Verifier{}, errors.New("a password must not be empty")
	}
	credentials, err := deriveCredentials(password, salt, iterations)
	if err != nil {
		return Verifier{}, err
	}
	encode := base64.StdEncoding.EncodeToString
	return Verifier{
		Iterations: iterations,
		Salt:       encode(salt),
		StoredKey:  encode(credentials.StoredKey),
		ServerKey:  encode(credentials.ServerKey),
	}, nil
}

// Validate says what is wrong with a verifier, nil when nothing is.
func (v Verifier) Validate() error {
	_, err := v.Credentials()
	return err
}

// Check reports whether the password is the one that the verifier was made of. Its time
// depends on the iteration count only. An error means that the verifier itself cannot be
// used, which is no verdict on the password.
func (v Verifier) Check(password string) (bool, error) {
	want, err := v.Credentials()
	if err != nil {
		return false, err
	}
	got, err := deriveCredentials(password, []byte(want.Salt), want.Iters)
	if err != nil {
		// SASLprep forbids the password, so no verifier can have been made of it. The same
		// work is done all the same, so that the answer takes as long as any other.
		_, _ = deriveCredentials("", []byte(want.Salt), want.Iters)
		return false, nil //nolint:nilerr // such a password is a wrong one
	}
	return subtle.ConstantTimeCompare(got.StoredKey, want.StoredKey) == 1, nil
}

// Credentials are the verifier as a SCRAM server needs it. The error says what is wrong
// with the verifier.
func (v Verifier) Credentials() (scram.StoredCredentials, error) {
	if v.Iterations < VerifierIterations || v.Iterations > maxVerifierIterations {
		return scram.StoredCredentials{}, fmt.Errorf("verifier: iterations is %d, must be between %d and %d",
			v.Iterations, VerifierIterations, maxVerifierIterations)
	}
	keySize := scram.SHA256().Size()
	var decoded [3][]byte
	for i, field := range []struct {
		name, value string
		size        int
	}{
		{"salt", v.Salt, 0},
		{"storedKey", v.StoredKey, keySize},
		{"serverKey", v.ServerKey, keySize},
	} {
		b, err := base64.StdEncoding.DecodeString(field.value)
		if err != nil {
			return scram.StoredCredentials{}, fmt.Errorf("verifier: %s is not base64: %w", field.name, err)
		}
		if len(b) == 0 || field.size != 0 && len(b) != field.size {
			return scram.StoredCredentials{}, fmt.Errorf("verifier: %s has the wrong size: %d bytes", field.name, len(b))
		}
		decoded[i] = b
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(decoded[0]), Iters: v.Iterations},
		StoredKey:  decoded[1],
		ServerKey:  decoded[2],
	}, nil
}

// deriveCredentials computes StoredKey and ServerKey (RFC 5802 §3).
func deriveCredentials(password string, salt []byte, iterations int) (scram.StoredCredentials, error) {
	client, err := scram.SHA256.NewClient(verifierSubject, password, "")
	if err != nil {
		return scram.StoredCredentials{}, fmt.Errorf("the password has characters that SASLprep (RFC 4013) forbids: %w", err)
	}
	return client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
}
