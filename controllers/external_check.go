package controllers

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// checkExternal says what is wrong with the certificate and key of a person's Secret, and what
// to do; empty when nothing is. What is wrong is not copied: a pod that starts would have no
// other certificate.
func checkExternal(secret *corev1.Secret, wanted *v1alpha1.RelayTLS, now time.Time) string {
	where := "Secret " + secret.Name + " of spec.tls.secretRef"
	certificate, key := secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey]
	if len(certificate) == 0 || len(key) == 0 {
		return where + " lacks tls.crt or tls.key: add them"
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		// The error names what it looked for, and nothing of the key.
		return fmt.Sprintf("%s: tls.crt and tls.key cannot be used together (%v): write both anew in PEM, the key being that of the first certificate", where, err)
	}
	leaf := pair.Leaf
	if now.After(leaf.NotAfter) {
		return fmt.Sprintf("%s: the certificate ended at %s: put a new one and its key in its place", where, leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	covered := func(name string) bool {
		return leaf.VerifyHostname(name) == nil || slices.Contains(leaf.DNSNames, name)
	}
	if len(wanted.Names) > 0 && !slices.ContainsFunc(wanted.Names, covered) {
		return fmt.Sprintf("%s: the certificate is for none of spec.tls.names, but for %v: put the right one in its place, or change the names", where, leaf.DNSNames)
	}
	return ""
}
