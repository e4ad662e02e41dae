package delivery

import (
	"bytes"
	"crypto/x509"
	"errors"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// mostNames of a certificate are shown.
const mostNames = 16

// judgeTrust says why an upstream's certificate is not trusted, and what to do.
func judgeTrust(u config.ResolvedUpstream, shown *x509.Certificate, err error) finding {
	unknown, wrongName, invalid := x509.UnknownAuthorityError{}, x509.HostnameError{}, x509.CertificateInvalidError{}
	switch {
	case shown == nil:
		return found(config.FaultUntrusted, "the certificate of %s cannot be trusted: %s", u.Host, err)
	case errors.As(err, &wrongName):
		return found(config.FaultUntrusted, "the certificate of %s is for %s: set host to the name that the provider gives", u.Host, nameList(shown))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return found(config.FaultUntrusted, "%s: its owner has to renew it, if the clock of the relay is right", validity(u, invalid.Cert))
	case errors.As(err, &unknown) && bytes.Equal(shown.RawIssuer, shown.RawSubject):
		return found(config.FaultUntrusted, "the certificate of %s is signed by nobody but itself: put it into the file of caFile, or the Secret of caSecretRef, if it is the right one",
			u.Host)
	case errors.As(err, &unknown) && u.RootCAs == nil:
		return found(config.FaultUntrusted, "the certificate of %s is signed by %s, which is no public CA: put that CA's certificate into the file of caFile, or the Secret of caSecretRef",
			u.Host, orUnnamed(shown.Issuer.String()))
	case errors.As(err, &unknown):
		return found(config.FaultUntrusted, "the certificate of %s is signed by %s, which is none of the CAs in caFile, or the Secret of caSecretRef: put its certificate there, or for a public CA leave the field out",
			u.Host, orUnnamed(shown.Issuer.String()))
	default:
		return found(config.FaultUntrusted, "the certificate of %s cannot be trusted: %s", u.Host, err)
	}
}

// validity says that a certificate has ended or not begun. It can be one of a CA.
func validity(u config.ResolvedUpstream, c *x509.Certificate) string {
	verb, at := "ended at ", c.NotAfter
	if time.Now().Before(c.NotBefore) {
		verb, at = "begins only at ", c.NotBefore
	}
	whose := "the certificate of " + u.Host
	if c.IsCA {
		whose = "the CA certificate " + orUnnamed(c.Subject.String()) + " of " + u.Host
	}
	return whose + " " + verb + at.UTC().Format(time.RFC3339)
}

// names are those that a certificate is for.
func names(c *x509.Certificate) []string {
	var all []string
	for _, name := range c.DNSNames {
		all = append(all, oneLine(name))
	}
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	return all[:min(len(all), mostNames)]
}

func nameList(c *x509.Certificate) string {
	const most = 5
	list := names(c)
	switch {
	case len(list) == 0:
		return "no host at all"
	case len(list) > most:
		return strings.Join(list[:most], ", ") + " and others"
	default:
		return strings.Join(list, ", ")
	}
}

func orUnnamed(name string) string {
	if name == "" {
		return "a CA without a name"
	}
	return name
}
