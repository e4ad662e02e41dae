package config

import "time"

// ProbeReport is what the newest session with an upstream showed, be it one of a probe or of a
// delivery.
type ProbeReport struct {
	// Time is when the session was opened, or was found not to open.
	Time time.Time `json:"time"`
	// Reachable means that the upstream talks SMTP with the relay, encrypted in the way that it
	// is set to: all but the login.
	Reachable bool `json:"reachable"`
	// Fault is why there is no session, empty when there is one.
	Fault Fault `json:"fault,omitempty"`
	// Error says of the fault what was seen and, where that is known, what to change.
	Error string `json:"error,omitempty"`
	// Login is what became of the newest login, nil when none was tried.
	Login *LoginReport `json:"login,omitempty"`
	// TLSVersion is "1.2" or "1.3", empty without TLS.
	TLSVersion string `json:"tlsVersion,omitempty"`
	// CipherSuite has the name that IANA gave it.
	CipherSuite string `json:"cipherSuite,omitempty"`
	// Certificate is what the upstream showed, also when it is not trusted.
	Certificate *PeerCertificate `json:"certificate,omitempty"`
	// Mechanisms are what AUTH offers, sorted: inside TLS, where there is TLS.
	Mechanisms []string `json:"mechanisms,omitempty"`
	// PlaintextMechanisms are what AUTH offers before STARTTLS.
	PlaintextMechanisms []string `json:"plaintextMechanisms,omitempty"`
	// Capabilities are those EHLO keywords that matter to a relay, sorted.
	Capabilities []string `json:"capabilities,omitempty"`
	// MaxSize is the largest message that the upstream takes, in bytes; 0 when it does not say.
	MaxSize int64 `json:"maxSize,omitempty"`
}

// LoginReport is what became of a login.
type LoginReport struct {
	// Time is when it was tried.
	Time time.Time `json:"time"`
	// Authenticated means that it worked.
	Authenticated bool `json:"authenticated"`
	// Fault is why it did not work.
	Fault Fault `json:"fault,omitempty"`
	// Error says what the upstream answered, without anything secret.
	Error string `json:"error,omitempty"`
}

// PeerCertificate is the certificate of an upstream.
type PeerCertificate struct {
	// Subject and Issuer are distinguished names.
	Subject string `json:"subject,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	// Names are the host names and addresses that it is for, the first sixteen.
	Names []string `json:"names,omitempty"`
	// NotAfter is when it ends.
	NotAfter time.Time `json:"notAfter"`
}

// Fault is why an upstream cannot be used.
type Fault string

// The faults of an upstream.
const (
	// FaultUnresolved means that the host has no address.
	FaultUnresolved Fault = "Unresolved"
	// FaultUnreachable means that there is no TCP connection.
	FaultUnreachable Fault = "Unreachable"
	// FaultSilent means that there is a connection and no greeting.
	FaultSilent Fault = "Silent"
	// FaultNotSMTP means that something else than a mail server answers.
	FaultNotSMTP Fault = "NotSMTP"
	// FaultSession means that the upstream refuses or breaks off the session.
	FaultSession Fault = "SessionRefused"
	// FaultThrottled means that the upstream wants no more sessions just now.
	FaultThrottled Fault = "Throttled"

	// FaultExpectsTLS means that the port is for TLS from the first byte, and tls is not.
	FaultExpectsTLS Fault = "ExpectsTLS"
	// FaultExpectsPlaintext means that tls is Implicit, and the port is not for it.
	FaultExpectsPlaintext Fault = "ExpectsPlaintext"
	// FaultNoSTARTTLS means that tls is StartTLS, which the port does not offer.
	FaultNoSTARTTLS Fault = "NoSTARTTLS"
	// FaultRequiresTLS means that tls is None, and the upstream wants encryption.
	FaultRequiresTLS Fault = "RequiresTLS"

	// FaultUntrusted means that the certificate cannot be trusted.
	FaultUntrusted Fault = "CertificateUntrusted"
	// FaultTLS means that a TLS session does not come about for another reason.
	FaultTLS Fault = "TLSFailed"

	// FaultLoginRefused means that the upstream does not take the credentials.
	FaultLoginRefused Fault = "LoginRefused"
	// FaultNoToken means that there is no OAuth2 token to log in with just now.
	FaultNoToken Fault = "NoToken"
	// FaultLoginUnsupported means that the upstream has no login that the relay can do.
	FaultLoginUnsupported Fault = "LoginUnsupported"
)

// WrongModes are the faults of a port and a TLS mode that do not fit.
func WrongModes() []Fault {
	return []Fault{FaultExpectsTLS, FaultExpectsPlaintext, FaultNoSTARTTLS, FaultRequiresTLS}
}

// Usable reports whether mail can be expected to get through: nothing is known to be in its way
// but, perhaps, an upstream that wants less of it.
func (r *ProbeReport) Usable() bool {
	return r.Reachable && (r.Login == nil || r.Login.Authenticated)
}
