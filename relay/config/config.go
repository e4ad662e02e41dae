// Package config reads and checks the relay's configuration: relay.yaml, the user
// files and the mounted Secrets that relay.yaml points at. The operator writes with the
// same types that the relay reads with.
package config

import "time"

// Version is the format version of relay.yaml and of the user files that this package
// reads and writes.
const Version = 1

// Config is relay.yaml. Every field has a default but Hostname, Upstreams and the
// certificate files.
type Config struct {
	// Version is the format version: 1.
	Version int `yaml:"version"`
	// Hostname is the relay's name: first word of the greeting and of the EHLO reply, the
	// "by" of Received, and what it says of itself to upstreams.
	Hostname  string     `yaml:"hostname"`
	Listeners Listeners  `yaml:"listeners,omitempty"`
	TLS       TLS        `yaml:"tls"`
	Upstreams []Upstream `yaml:"upstreams"`
	// Routes choose upstreams by sender and recipient. The first that matches does.
	Routes  []Route   `yaml:"routes,omitempty"`
	Users   Users     `yaml:"users,omitempty"`
	Queue   Queue     `yaml:"queue,omitempty"`
	Message Message   `yaml:"message,omitempty"`
	DKIM    []DKIMKey `yaml:"dkim,omitempty"`
	Probe   Probe     `yaml:"probe,omitempty"`
	Logging Logging   `yaml:"logging,omitempty"`
	Admin   Admin     `yaml:"admin,omitempty"`
}

// Listeners are the two ports that take mail.
type Listeners struct {
	// Submissions is implicit TLS, port 465 (RFC 8314 §3.3).
	Submissions Listener `yaml:"submissions,omitempty"`
	// Submission is mandatory STARTTLS, port 587 (RFC 6409, RFC 3207).
	Submission Listener `yaml:"submission,omitempty"`
	// Silence is how long a client of Submissions may stay silent before it is taken for
	// one that waits for a plaintext greeting. Default 5s.
	Silence time.Duration `yaml:"silence,omitempty"`
	// MaxConnections is the cap over both listeners. Default 12000.
	MaxConnections int `yaml:"maxConnections,omitempty"`
	// MaxConnectionsPerAddress is the cap for one client address. All of a /64 of IPv6 may have half
	// of MaxConnections, or this where it is more. Default 2000.
	MaxConnectionsPerAddress int `yaml:"maxConnectionsPerAddress,omitempty"`
}

// Listener is one port.
type Listener struct {
	// Address to listen on, such as ":465".
	Address string `yaml:"address,omitempty"`
	// Disabled closes the port.
	Disabled bool `yaml:"disabled,omitempty"`
}

// TLS is what both listeners serve.
type TLS struct {
	// MinVersion is "1.2" (default) or "1.3".
	MinVersion string `yaml:"minVersion,omitempty"`
	// Internal is served to clients that name an in-cluster host or none.
	Internal KeyPair `yaml:"internal"`
	// External is served to clients that name a host of it by SNI. Its files may be
	// missing; it is then not served.
	External KeyPair `yaml:"external,omitempty"`
	// Names are the host names that External is for. The relay looks whether its ports show it to
	// clients that ask for them. Default: one of those in the certificate.
	Names []string `yaml:"names,omitempty"`
	// ClientCAFile is a PEM bundle of the CAs that sign certificates of users. Clients are
	// asked for a certificate when it is set; they need none, and one of another CA counts as none.
	ClientCAFile string `yaml:"clientCAFile,omitempty"`
}

// KeyPair are the PEM files of a certificate chain and its key.
type KeyPair struct {
	CertFile string `yaml:"certFile,omitempty"`
	KeyFile  string `yaml:"keyFile,omitempty"`
}

// Upstream is a submission server that messages are delivered to.
type Upstream struct {
	Name string `yaml:"name"`
	// Provider names a preset (see the package provider) for what is not set here: host,
	// port, limits and the meaning of replies.
	Provider string `yaml:"provider,omitempty"`
	Host     string `yaml:"host,omitempty"`
	Port     int    `yaml:"port,omitempty"`
	// TLS is Implicit, StartTLS or None.
	TLS TLSMode `yaml:"tls"`
	// Order says when the upstream is used: those of the lowest order first, the next only
	// while none of them can be used. Default 0.
	Order int `yaml:"order,omitempty"`
	// Weight is the upstream's share of the mail among those of the same order. Default 1.
	Weight int `yaml:"weight,omitempty"`
	// PlaintextAcknowledgement must be config.PlaintextAcknowledgement when TLS is None.
	PlaintextAcknowledgement string `yaml:"plaintextAcknowledgement,omitempty"`
	Auth                     Auth   `yaml:"auth,omitempty"`
	// CAFile is a PEM bundle that replaces the public CA roots for this upstream.
	CAFile string         `yaml:"caFile,omitempty"`
	Limits UpstreamLimits `yaml:"limits,omitempty"`
	// Chunking sends content with BDAT (RFC 3030) when the upstream offers CHUNKING: one round
	// trip a message. The content leaves before the recipients are accepted, so it is off by
	// default.
	Chunking bool `yaml:"chunking,omitempty"`
	// UnsignedHeaders are left out of DKIM signatures, since this upstream changes them.
	UnsignedHeaders []string `yaml:"unsignedHeaders,omitempty"`
}

// TLSMode is how the connection to an upstream is encrypted.
type TLSMode string

// The TLS modes of an upstream.
const (
	TLSImplicit TLSMode = "Implicit"
	TLSStartTLS TLSMode = "StartTLS"
	TLSNone     TLSMode = "None"
)

// PlaintextAcknowledgement is what must be written to use TLSNone.
const PlaintextAcknowledgement = "mail and credentials travel unencrypted"

// UpstreamLimits bound what one relay process asks of an upstream.
type UpstreamLimits struct {
	// Connections at once. Default 8.
	Connections int `yaml:"connections,omitempty"`
	// MessagesPerConnection before it is closed. Default 100.
	MessagesPerConnection int `yaml:"messagesPerConnection,omitempty"`
	// RecipientsPerMessage in one transaction. Default 100.
	RecipientsPerMessage int `yaml:"recipientsPerMessage,omitempty"`
	// Rates of messages and recipients; all of them hold. Those of a period of up to ten
	// seconds are spread evenly over it.
	Rates []Rate `yaml:"rates,omitempty"`
}

// Users says where the user files are and how users log in.
type Users struct {
	// Files are user files (see UserFile). One that is missing holds no users.
	Files []string `yaml:"files,omitempty"`
	// ScramPlus offers SCRAM-SHA-256-PLUS as well, which binds a login to its TLS 1.3
	// connection (RFC 9266). Off by default: some clients choose it and then fail.
	ScramPlus bool `yaml:"scramPlus,omitempty"`
	// Tokens says which signed tokens log in the users with Subjects.
	Tokens Tokens `yaml:"tokens,omitempty"`
	// DecoyKey makes the salts that SCRAM shows for unknown users. Relays with the same
	// users need the same, or a client that asks several tells which users exist. A key of
	// the process when empty.
	DecoyKey string `yaml:"decoyKey,omitempty"`
}

// Queue is where accepted messages are kept and how long delivery is tried.
type Queue struct {
	// Directory of the spool. Default /var/spool/mailrelay.
	Directory string `yaml:"directory,omitempty"`
	// Lifetime before a message is bounced. Default 120h (RFC 5321 §4.5.4.1).
	Lifetime time.Duration `yaml:"lifetime,omitempty"`
	// RetryInitial is the pause after the first failed attempt; it doubles. Default 1m.
	RetryInitial time.Duration `yaml:"retryInitial,omitempty"`
	// RetryMax is the longest pause. Default 30m.
	RetryMax time.Duration `yaml:"retryMax,omitempty"`
	// SenderHold is how long a message waits whose sender the upstream does not take, before
	// it is bounced: a sender that is not verified yet can be. Default 24h.
	SenderHold time.Duration `yaml:"senderHold,omitempty"`
	// LowSpace is the free space in bytes under which new messages are refused with 452.
	// Default 64 MiB.
	LowSpace int64 `yaml:"lowSpace,omitempty"`
	// DelayNotice is after how long the sender is told that a message is still being tried.
	// Default 4h. That of Lifetime or more tells of no delays.
	DelayNotice time.Duration `yaml:"delayNotice,omitempty"`
	// Postmaster gets the bounces that the sender cannot get.
	Postmaster string `yaml:"postmaster,omitempty"`
	// BounceSender is the sender of a bounce to Postmaster that an upstream refused with the
	// null sender: one that the upstream lets the relay send as. Default Postmaster.
	BounceSender string `yaml:"bounceSender,omitempty"`
	// DeadLetterRetention is how long a message that failed is kept. Default 336h.
	DeadLetterRetention time.Duration `yaml:"deadLetterRetention,omitempty"`
}

// Message is what a message may be.
type Message struct {
	// MaxSize in bytes, announced by SIZE (RFC 1870). Default 25 MiB.
	MaxSize int64 `yaml:"maxSize,omitempty"`
	// MaxRecipients of one message. Default 100.
	MaxRecipients int `yaml:"maxRecipients,omitempty"`
	// Recipients says to whom users may send. Default everybody.
	Recipients Recipients `yaml:"recipients,omitempty"`
	// BareLF is what becomes of a message with an LF that no CR precedes: Normalize
	// (default) makes it CRLF, Refuse refuses the message.
	BareLF string `yaml:"bareLF,omitempty"`
	// MissingFrom is what becomes of a message without a From field: Add (default) makes one
	// of the envelope's sender, Refuse refuses the message.
	MissingFrom string `yaml:"missingFrom,omitempty"`
	// DropHeaders are names of header fields that are taken out.
	DropHeaders []string `yaml:"dropHeaders,omitempty"`
	// ReceivedUser shows the user in Received.
	ReceivedUser bool `yaml:"receivedUser,omitempty"`
	// QualifyDomain is the domain of sender addresses that have none, or only the name of a
	// host without a dot. They are refused when it is empty.
	QualifyDomain string `yaml:"qualifyDomain,omitempty"`
	// Rewrite changes sender addresses; the first rule that matches does.
	Rewrite []Rewrite `yaml:"rewrite,omitempty"`
}

// What Message.MissingFrom can be.
const (
	MissingFromAdd    = "Add"
	MissingFromRefuse = "Refuse"
)

// Rewrite changes a sender address.
type Rewrite struct {
	// Match is an address, a domain, "*." and a domain for what is below it, or "*" for all.
	Match string `yaml:"match"`
	// To is the new address, or the new domain for the same local-part.
	To string `yaml:"to"`
}

// What Message.BareLF can be.
const (
	BareLFNormalize = "Normalize"
	BareLFRefuse    = "Refuse"
)

// Logging is how much is logged.
type Logging struct {
	// Level is Debug, Info (default), Warn or Error.
	Level string `yaml:"level,omitempty"`
	// Recipients is how recipient addresses are shown: Full (default), Domain or Hash.
	Recipients string `yaml:"recipients,omitempty"`
}

// What Logging.Level and Logging.Recipients can be.
const (
	LevelDebug = "Debug"
	LevelInfo  = "Info"
	LevelWarn  = "Warn"
	LevelError = "Error"

	RecipientsFull   = "Full"
	RecipientsDomain = "Domain"
	RecipientsHash   = "Hash"
)

// Admin are the HTTP ports. The address "off" turns a port off.
type Admin struct {
	// Probes serves /livez and /readyz, and no data. Default ":8080".
	Probes string `yaml:"probes,omitempty"`
	// Metrics serves /metrics for Prometheus. Default ":9090".
	Metrics string `yaml:"metrics,omitempty"`
	// Status serves the Report over mutual TLS. Default ":8443" when StatusClientCAFile is
	// set, otherwise "off".
	Status string `yaml:"status,omitempty"`
	// StatusClientCAFile is the PEM bundle of the CA that may read the status.
	StatusClientCAFile string `yaml:"statusClientCAFile,omitempty"`
}
