package readiness

import "fmt"

// ClientCertificate is what is known of a client certificate that is under way.
type ClientCertificate struct {
	// Usable is set when the Secret holds one that an app can log in with meanwhile.
	Usable bool
	// Needed is set when the app cannot log in without one.
	Needed bool
	// CertManagerMissing is set when the kinds of cert-manager are not in the cluster.
	CertManagerMissing bool
	// Request is the CertificateRequest, with its namespace; empty when none is made yet.
	Request string
	// Refusal says why it gets no certificate.
	Refusal string
}

// certificateSigned does not hold while an app needs a certificate to log in and has none.
func certificateSigned(f *UserFacts) *finding {
	if f.Client == nil || f.Client.Usable || !f.Client.Needed {
		return nil
	}
	if refused := certificateNotRefused(f); refused != nil {
		return refused
	}
	return certificateIsUnderWay(f)
}

// certificateIsUnderWay does not hold while one is made, also when the app has another.
func certificateIsUnderWay(f *UserFacts) *finding {
	if f.Client == nil || certificateNotRefused(f) != nil {
		return nil
	}
	if f.Client.Request == "" {
		return &finding{reason: "SigningCertificate", message: "the client certificate is about to be requested"}
	}
	return &finding{reason: "SigningCertificate", message: fmt.Sprintf(
		"CertificateRequest %s is to be signed, and the relay to load it: if this lasts, see its conditions, and whether something approves it", f.Client.Request)}
}

// certificateNotRefused does not hold when a person has to help, at the latest when the present
// certificate ends.
func certificateNotRefused(f *UserFacts) *finding {
	switch {
	case f.Client == nil:
		return nil
	case f.Client.CertManagerMissing:
		return &finding{reason: "CertManagerMissing", message: "the kinds of cert-manager, which signs client certificates, are missing in this cluster: install cert-manager with its CRDs; this user goes on by itself"}
	case f.Client.Refusal != "" && f.foreign():
		return &finding{reason: "CertificateRefused", message: fmt.Sprintf(
			"CertificateRequest %s gets no certificate: ask the owner of MailRelay %s, whose events say why, as the conditions of the request do; another request is made every ten minutes, or when that one is deleted", f.Client.Request, f.Relay)}
	case f.Client.Refusal != "":
		return &finding{reason: "CertificateRefused", message: fmt.Sprintf(
			"CertificateRequest %s gets no certificate: %s; change what refuses it: another request is made every ten minutes, or when that one is deleted", f.Client.Request, f.Client.Refusal)}
	default:
		return nil
	}
}
