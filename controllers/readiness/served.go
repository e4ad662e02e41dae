package readiness

import (
	"fmt"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func certificatesAreValid(f *Facts) *finding {
	for i := range f.Served {
		c := &f.Served[i]
		if c.NotAfter != nil && f.Now.After(c.NotAfter.Time) {
			return &finding{reason: "CertificateExpired", message: fmt.Sprintf(
				"clients that ask for %s are shown a certificate that ended at %s, and refuse it: %s",
				c.Host, c.NotAfter.UTC().Format(time.RFC3339), renewal(f, c))}
		}
	}
	return nil
}

// renewal says how a certificate comes to be renewed.
func renewal(f *Facts, c *v1alpha1.CertificateStatus) string {
	tls := f.Relay.Spec.TLS
	switch {
	case c.Name == config.InternalCertificate:
		return fmt.Sprintf("cert-manager should have renewed it, see \"kubectl describe certificate %s\"", resources.TLSName(f.Relay))
	case tls != nil && tls.SecretRef != nil:
		return fmt.Sprintf("put a new one and its key into Secret %s", tls.SecretRef.Name)
	default:
		return fmt.Sprintf("cert-manager should have renewed it, see \"kubectl describe certificate %s\"", resources.ExternalName(f.Relay))
	}
}

// certificatesAreTrusted speaks of the internal certificate only: an external one may well come
// from a CA that the clients know and we do not.
func certificatesAreTrusted(f *Facts) *finding {
	for i := range f.Served {
		c := &f.Served[i]
		if c.Name == config.InternalCertificate && c.Verified != nil && !*c.Verified {
			return &finding{reason: "CertificateNotTrusted", message: fmt.Sprintf(
				"apps that trust the CAs in ConfigMap %s refuse the certificate for %s, which %q signed; if this lasts, delete Secret %s: cert-manager writes it anew",
				resources.TrustName(f.Relay), c.Host, c.Issuer, resources.TLSName(f.Relay))}
		}
	}
	return nil
}

// certificatesAreServed looks at pods that get clients only.
func certificatesAreServed(f *Facts) *finding {
	for i := range f.Pods {
		p := &f.Pods[i]
		if !p.Ready || p.Report == nil {
			continue
		}
		for _, c := range p.Report.Certificates {
			for _, shown := range c.Served {
				switch {
				case shown.Error == "":
				case shown.Fingerprint == "":
					return &finding{reason: "PortNotAnswering", message: fmt.Sprintf("pod %s: %s%s", p.Name, shown.Error, logHint(f))}
				default:
					return &finding{reason: "CertificateNotServed", message: fmt.Sprintf("pod %s: %s%s", p.Name, shown.Error, namesHint(f, c.Name))}
				}
			}
		}
	}
	return nil
}

func namesHint(f *Facts, certificate string) string {
	if certificate == config.ExternalCertificate {
		return "; compare spec.tls.names with the names in the certificate"
	}
	return logHint(f)
}

func logHint(f *Facts) string {
	return fmt.Sprintf("; if this lasts, see \"kubectl logs -l %s=%s\"", resources.RelayLabel, f.Relay.Name)
}
