package config

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"time"
)

// Report is what a relay says of itself on its status port, as JSON. The operator polls it.
type Report struct {
	// Loaded maps each directory that the configuration was read from to the DirHash of the
	// content that is in use: all files of a mounted Secret, elsewhere those that are named.
	Loaded map[string]string `json:"loaded"`
	// Errors are the parts whose newest content could not be used; the last good content
	// still serves. Each says what is wrong and where.
	Errors []string `json:"errors,omitempty"`
	// Users is the number of users that may log in.
	Users int `json:"users"`
	// Certificates are those in use, and what clients see of them.
	Certificates []CertificateReport `json:"certificates,omitempty"`
	// Queue is the state of the spool.
	Queue QueueReport `json:"queue"`
	// Upstreams is what the last use of each upstream showed.
	Upstreams []UpstreamReport `json:"upstreams,omitempty"`
	// SendersRefused are the senders whose mail is held since an upstream does not take it.
	SendersRefused []SenderReport `json:"sendersRefused,omitempty"`
	// PreviousLogins are the users who have logged in with a password that has been replaced, as
	// long as it is accepted.
	PreviousLogins []PreviousLogin `json:"previousLogins,omitempty"`
	// TokenKeyMissed is when a token last came that fits but for its key, which is not known;
	// zero when none did since the relay started.
	TokenKeyMissed time.Time `json:"tokenKeyMissed,omitzero"`
}

// MaxPreviousLogins is how many PreviousLogins a report has at most, so that it stays small.
const MaxPreviousLogins = 3000

// PreviousLogin is the last login of a user with a password that has been replaced.
type PreviousLogin struct {
	User string `json:"user"`
	// At is when, to the minute.
	At time.Time `json:"at"`
}

// SenderReport is a sender that an upstream does not take mail from.
type SenderReport struct {
	// User whose mail it is, empty for mail of the relay's own.
	User string `json:"user,omitempty"`
	// Sender is the reverse-path, empty for the null one.
	Sender string `json:"sender,omitempty"`
	// Upstream is the name of the one that refuses.
	Upstream string `json:"upstream"`
	// Reply is what it first said, on one line.
	Reply string `json:"reply"`
	// Since is when it first said so.
	Since time.Time `json:"since"`
}

// The certificates of a relay, by the names of their fields in tls.
const (
	InternalCertificate = "internal"
	ExternalCertificate = "external"
)

// CertificateReport is a certificate that is in use, and what clients see of it.
type CertificateReport struct {
	// Name is InternalCertificate or ExternalCertificate.
	Name string `json:"name"`
	// NotAfter is when it ends.
	NotAfter time.Time `json:"notAfter"`
	// Fingerprint is that of the certificate.
	Fingerprint string `json:"fingerprint"`
	// Served is what the relay's own ports showed when they were last looked at; empty when that
	// was before this certificate came into use.
	Served []ServedReport `json:"served,omitempty"`
}

// ServedReport is the certificate that a client of a port is shown.
type ServedReport struct {
	// Host that the client asks for by SNI; empty for a client that asks for none.
	Host string `json:"host"`
	// Port that it connects to.
	Port int `json:"port"`
	// Error says what is wrong: no answer, or another certificate than there should be.
	Error string `json:"error,omitempty"`
	// NotAfter is when the certificate ends; zero where none was shown, as for the rest.
	NotAfter time.Time `json:"notAfter,omitzero"`
	// Fingerprint is that of the certificate.
	Fingerprint string `json:"fingerprint,omitempty"`
	// Issuer is the common name of what signed it.
	Issuer string `json:"issuer,omitempty"`
}

// Fingerprint is the SHA-256 of a certificate, in hexadecimal.
func Fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}

// QueueReport is the state of a spool.
type QueueReport struct {
	// Messages that wait for delivery.
	Messages int64 `json:"messages"`
	// Oldest is when the oldest of them was accepted; zero when there is none.
	Oldest time.Time `json:"oldest,omitzero"`
	// LastDelivery is when an upstream last took a message; zero when none did since the relay
	// started.
	LastDelivery time.Time `json:"lastDelivery,omitzero"`
	// Quarantined messages were damaged on disk and put aside; they are not among Messages.
	Quarantined int64 `json:"quarantined,omitempty"`
	// DeadLetters are messages that failed and are kept for a time; those of which no recipient
	// is pending are not among Messages.
	DeadLetters int64 `json:"deadLetters,omitempty"`
}

// UpstreamReport is what the last use of an upstream showed.
type UpstreamReport struct {
	Name string `json:"name"`
	// LastSuccess is when a message was last handed over, or begun on a new connection.
	LastSuccess time.Time `json:"lastSuccess,omitzero"`
	// LastError is the newest failure since then, empty when there is none.
	LastError string `json:"lastError,omitempty"`
	// LastErrorTime is when it happened.
	LastErrorTime time.Time `json:"lastErrorTime,omitzero"`
	// LastErrorClass is its class: connect, tls, authentication, throttle.
	LastErrorClass string `json:"lastErrorClass,omitempty"`
	// LastErrorStep is the step of the session in which it happened, such as "AUTH".
	LastErrorStep string `json:"lastErrorStep,omitempty"`
	// Probe is what the newest session showed; nil before the first one.
	Probe *ProbeReport `json:"probe,omitempty"`
}
