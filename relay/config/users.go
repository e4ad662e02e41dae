package config

// UserFile is a file of users. The operator writes sixteen of them, so that a change of
// one user rewrites a small Secret.
type UserFile struct {
	// Version is the format version: 1.
	Version int    `yaml:"version"`
	Users   []User `yaml:"users"`
}

// User is who may log in, and as whom they may send.
type User struct {
	// Name is the SASL user name.
	Name string `yaml:"name"`
	// Passwords are the verifiers of the user's passwords, the newest first; any of them is
	// accepted, so that an old and a new password overlap in a rotation. SCRAM accepts those
	// that have the salt and iterations of the first (see Verifier.Successor).
	Passwords []Verifier `yaml:"passwords,omitempty"`
	// Senders are the addresses ("app@example.com"), domains ("example.com") and sub-domains
	// ("*.example.com") that the user may send as: those that the user really has. None means
	// none; "*" means any address, "<>" the null reverse-path.
	Senders []string `yaml:"senders,omitempty"`
}

// Verifier is a SCRAM-SHA-256 verifier of a password (RFC 5802 §3, RFC 7677). It checks a
// password and cannot be turned back into one. Byte strings are base64.
type Verifier struct {
	Iterations int    `yaml:"iterations"`
	Salt       string `yaml:"salt"`
	StoredKey  string `yaml:"storedKey"`
	ServerKey  string `yaml:"serverKey"`
}
