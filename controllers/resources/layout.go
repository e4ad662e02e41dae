package resources

import "fmt"

// Where the relay container finds what is mounted. Whole directories, so that the kubelet
// refreshes them; a subPath is never refreshed.
const (
	ConfigDir    = "/etc/mailrelay/config"
	TLSDir       = "/etc/mailrelay/tls"
	ExternalDir  = "/etc/mailrelay/external-tls"
	UpstreamsDir = "/etc/mailrelay/upstreams"
	SpoolDir     = "/var/spool/mailrelay"
)

// ClientCAFile is where the CAs are that sign client certificates of users.
const ClientCAFile = ConfigDir + "/" + ClientCAKey

// UsersDir is where one shard of the users is mounted.
func UsersDir(shard int) string { return fmt.Sprintf("/etc/mailrelay/users/%02d", shard) }

// Keys of the Secrets.
const (
	ConfigKey     = "relay.yaml"
	OperatorCAKey = "operator-ca.crt"
	// ClientCAKey are the CAs that sign certificates of clients.
	ClientCAKey = "client-ca.crt"
	DecoyKeyKey = "decoy-key"
	// TokenKeysKey is the issuer of service account tokens, with its keys.
	TokenKeysKey = "token-keys.json"
	UsersKey     = "users.yaml"
	CAKey        = "ca.crt"
	UsernameKey  = "username"
	PasswordKey  = "password"
	AudienceKey  = "token-audience"
	DKIMKey      = "dkim.key"

	ClientIDKey     = "client-id"
	ClientSecretKey = "client-secret"
	RefreshTokenKey = "refresh-token"
	// TokenCAKey is what the CA of a token endpoint is copied to, beside that of the upstream.
	TokenCAKey = "token-ca.crt"
)

// UpstreamKey is the key, and file name, of what an upstream needs: a credential, a certificate
// or a CA.
func UpstreamKey(upstream, key string) string { return upstream + "." + key }

// DKIMFile is the key, and file name, of a DKIM key among what the upstreams need: its name in the
// DNS. No upstream's name has a dot, so no UpstreamKey is the same.
func DKIMFile(selector, domain string) string { return selector + "._domainkey." + domain }

// Ports of the relay container. Mail uses the real ports: a Service, a NetworkPolicy and a
// packet dump then all show the same number.
const (
	SubmissionsPort int32 = 465
	SubmissionPort  int32 = 587
	ProbesPort      int32 = 8080
	MetricsPort     int32 = 9090
	StatusPort      int32 = 8443
)
