package controllers

import (
	"cmp"
	"crypto/x509"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/readiness"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/trust"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// served are the certificates that clients of the pods are shown, one for each name and
// certificate, with the ports that show it; nil when no pod has looked.
func served(s *scope) []v1alpha1.CertificateStatus {
	var found []v1alpha1.CertificateStatus
	for i := range s.facts.Pods {
		if !s.facts.Pods[i].Ready || s.facts.Pods[i].Report == nil {
			continue
		}
		for _, c := range s.facts.Pods[i].Report.Certificates {
			for _, shown := range c.Served {
				if shown.Fingerprint != "" {
					found = addServed(s, found, c.Name, shown)
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b v1alpha1.CertificateStatus) int {
		// "internal" comes first: it is what all apps in the cluster see.
		return cmp.Or(-cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return found
}

func addServed(s *scope, found []v1alpha1.CertificateStatus, name string, shown config.ServedReport) []v1alpha1.CertificateStatus {
	port := int32(shown.Port) //nolint:gosec // A port has 16 bits.
	at := slices.IndexFunc(found, func(c v1alpha1.CertificateStatus) bool {
		return c.Name == name && c.Host == shown.Host && c.Fingerprint == shown.Fingerprint
	})
	if at < 0 {
		return append(found, v1alpha1.CertificateStatus{
			Name: name, Host: shown.Host, Ports: []int32{port}, Issuer: shown.Issuer, Fingerprint: shown.Fingerprint,
			NotAfter: &metav1.Time{Time: shown.NotAfter.Truncate(time.Second)}, Verified: verified(s, name, shown),
		})
	}
	if !slices.Contains(found[at].Ports, port) {
		found[at].Ports = append(found[at].Ports, port)
		slices.Sort(found[at].Ports)
	}
	return found
}

// verified is whether clients accept a certificate that was shown: of the internal one those
// that trust what apps are given, of the external one those that trust the public roots or the
// CA in its Secret. It is nil for a certificate that is no longer that of its Secret.
func verified(s *scope, name string, shown config.ServedReport) *bool {
	secret, roots := resources.TLSName(s.relay), s.trust.Apps()
	if name == config.ExternalCertificate {
		secret = resources.ExternalTLSName(s.relay)
		roots = nil
		if ca := trust.Parse(s.memory.secrets[secret].ca); ca != nil {
			roots = []*x509.Certificate{ca}
		}
	} else if len(roots) == 0 {
		return nil
	}
	chain := s.memory.secrets[secret].certificate
	if leaf := trust.Parse(chain); leaf == nil || config.Fingerprint(leaf) != shown.Fingerprint {
		return nil
	}
	return ptr(trust.Verify(chain, roots, shown.Host, s.facts.Now))
}

// showsLeaf reports whether a pod shows all its clients the certificate of the in-cluster names
// as it is in its Secret.
func showsLeaf(s *scope, pod *readiness.Pod) bool {
	if pod.Report == nil || s.trust.Leaf == nil {
		return false
	}
	for _, c := range pod.Report.Certificates {
		if c.Name == config.InternalCertificate {
			wanted := config.Fingerprint(s.trust.Leaf)
			return len(c.Served) > 0 && !slices.ContainsFunc(c.Served, func(shown config.ServedReport) bool { return shown.Fingerprint != wanted })
		}
	}
	return false
}
