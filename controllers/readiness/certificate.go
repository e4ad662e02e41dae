package readiness

import (
	"fmt"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// certificateReady is true when the relay's certificates are issued, and clients are shown them.
var certificateReady = condition[*Facts]{
	name: v1alpha1.ConditionCertificateReady,
	predicates: []predicate[*Facts]{
		certManagerIsInstalled,      // Without its kinds nothing can be asked for
		externalCertificateIsWanted, // What the certificate for external names needs is there
		certificatesAreIssued,       // cert-manager says so for the present generation
		certificateIsComplete,       // and its Secret can be mounted
		certificatesAreValid,        // No client accepts one that has ended
		certificatesAreTrusted,      // or whose CA it does not know
		certificatesAreServed,       // and what counts is what clients are shown
	},
	holds: always[*Facts]("Issued", "the certificates are issued"),
}

func certManagerIsInstalled(f *Facts) *finding {
	switch {
	case f.CertManagerMissing:
		return &finding{reason: "CertManagerMissing", message: "the kinds of cert-manager are missing in this cluster: install cert-manager with its CRDs; the relay goes on by itself"}
	case !f.CertManagerInstalled:
		return &finding{reason: "CertManagerStarting", message: "the kinds of cert-manager are being read", unknown: true}
	default:
		return nil
	}
}

func externalCertificateIsWanted(f *Facts) *finding {
	switch {
	case f.ExternalProblem != "":
		return &finding{reason: "ExternalCertificateMissing", message: f.ExternalProblem}
	case f.ExternalInvalid != "":
		return &finding{reason: "ExternalCertificateInvalid", message: f.ExternalInvalid}
	default:
		return nil
	}
}

func certificatesAreIssued(f *Facts) *finding {
	for _, c := range f.Certificates {
		if !c.Ready && !c.Spare {
			return &finding{reason: "Issuing", message: fmt.Sprintf(
				"cert-manager has not issued Certificate %s yet: %s; if this lasts, see \"kubectl describe certificate %s\"", c.Name, c.Message, c.Name)}
		}
	}
	return nil
}

func certificateIsComplete(f *Facts) *finding {
	if f.CertificateLoaded {
		return nil
	}
	return &finding{reason: "Issuing", message: "the Secret with the certificate is not there yet: cert-manager writes it"}
}
