package resources

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// RelayConfig is relay.yaml as spec asks for it. What spec leaves out is left to the relay's
// own defaults. It is the same for every pod of the relay. The key for unknown users is not a
// matter of spec and left empty.
func RelayConfig(relay *v1alpha1.MailRelay, clusterDomain string) *config.Config {
	return &config.Config{
		Version:  config.Version,
		Hostname: Host(relay) + "." + clusterDomain,
		Listeners: config.Listeners{
			Submissions: config.Listener{Disabled: !SubmissionsEnabled(relay)},
			Submission:  config.Listener{Disabled: !SubmissionEnabled(relay)},
		},
		TLS:       tlsConfig(relay.Spec.TLS),
		Upstreams: upstreamConfigs(relay),
		Routes:    routeConfigs(relay.Spec.Routes),
		Users: config.Users{
			Files:  userFiles(),
			Tokens: config.Tokens{Audience: TokenAudience(relay), KeysFile: path.Join(ConfigDir, TokenKeysKey)},
		},
		Queue: config.Queue{
			Directory:    SpoolDir,
			Lifetime:     duration(relay.Spec.Queue.Lifetime),
			RetryInitial: duration(relay.Spec.Queue.Retry.Initial),
			RetryMax:     duration(relay.Spec.Queue.Retry.Max),
			DelayNotice:  duration(relay.Spec.Queue.DelayNotice),
			Postmaster:   relay.Spec.Queue.Postmaster,
			BounceSender: relay.Spec.Queue.BounceSender,
		},
		Message: config.Message{
			MaxSize:       bytes(relay.Spec.Message.MaxSize),
			MaxRecipients: int(ptr.Deref(relay.Spec.Message.MaxRecipients, 0)),
			Recipients: config.Recipients{
				Allow: relay.Spec.Message.Recipients.Allow,
				Deny:  relay.Spec.Message.Recipients.Deny,
			},
			BareLF:        relay.Spec.Message.BareLF,
			MissingFrom:   relay.Spec.Message.MissingFrom,
			DropHeaders:   relay.Spec.Message.DropHeaders,
			ReceivedUser:  relay.Spec.Message.ReceivedUser,
			QualifyDomain: relay.Spec.Message.QualifyDomain,
			Rewrite:       rewriteRules(relay.Spec.Message.Rewrite),
		},
		DKIM: dkimKeys(relay.Spec.DKIM),
		// All pods have the same credentials, and failed logins lock accounts.
		Probe: config.Probe{LoginHost: relay.Name + "-0"},
		Logging: config.Logging{
			Level:      relay.Spec.Logging.Level,
			Recipients: relay.Spec.Logging.Recipients,
		},
		Admin: config.Admin{
			Probes:             address(ProbesPort),
			Metrics:            address(MetricsPort),
			Status:             address(StatusPort),
			StatusClientCAFile: path.Join(ConfigDir, OperatorCAKey),
		},
	}
}

// StartHash is the hash of what a relay reads only at its start: it changes when pods have to
// restart.
func StartHash(c *config.Config) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %t %t %q", c.Hostname, c.Listeners.Submissions.Disabled, c.Listeners.Submission.Disabled,
		cmp.Or(c.TLS.MinVersion, "1.2"))
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// tlsConfig always names the external files: the relay passes over files that are missing,
// so a certificate for external names can come and go.
func tlsConfig(tls *v1alpha1.RelayTLS) config.TLS {
	out := config.TLS{Internal: keyPair(TLSDir), External: keyPair(ExternalDir)}
	if tls != nil {
		out.MinVersion = tls.MinVersion
		// A wildcard is no name that a client asks for.
		out.Names = slices.DeleteFunc(slices.Clone(tls.Names), func(name string) bool { return strings.HasPrefix(name, "*") })
	}
	return out
}

func keyPair(directory string) config.KeyPair {
	return config.KeyPair{
		CertFile: path.Join(directory, corev1.TLSCertKey),
		KeyFile:  path.Join(directory, corev1.TLSPrivateKeyKey),
	}
}

func rewriteRules(rules []v1alpha1.Rewrite) []config.Rewrite {
	var out []config.Rewrite
	for _, r := range rules {
		out = append(out, config.Rewrite(r))
	}
	return out
}

// dkimKeys are the keys that people bring. Which of its own keys signs the operator decides by
// what the DNS shows.
func dkimKeys(keys []v1alpha1.DKIMKey) []config.DKIMKey {
	var out []config.DKIMKey
	for i := range keys {
		if keys[i].SecretRef != nil {
			out = append(out, DKIMConfig(keys[i].Selector, keys[i].Domain))
		}
	}
	return out
}

// DKIMConfig has the relay sign with the key that is mounted as DKIMFile.
func DKIMConfig(selector, domain string) config.DKIMKey {
	return config.DKIMKey{Domain: domain, Selector: selector, KeyFile: path.Join(UpstreamsDir, DKIMFile(selector, domain))}
}

func userFiles() []string {
	files := make([]string, UserShards)
	for shard := range files {
		files[shard] = path.Join(UsersDir(shard), UsersKey)
	}
	return files
}

func address(port int32) string { return fmt.Sprintf(":%d", port) }

func duration(d *metav1.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return d.Duration
}

func bytes(q *resource.Quantity) int64 {
	if q == nil {
		return 0
	}
	return q.Value()
}
