package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Condition types. Ready of a MailRelay sums up the others.
const (
	// ConditionReady is true when apps can submit mail and it is delivered.
	ConditionReady = "Ready"
	// ConditionCertificateReady is true when the relay's certificates are issued and valid.
	ConditionCertificateReady = "CertificateReady"
	// ConditionWorkloadAvailable is true when enough relay pods are ready and run the wanted configuration.
	ConditionWorkloadAvailable = "WorkloadAvailable"
	// ConditionUpstreamReady is true when what the relay needs to reach its upstreams is there.
	ConditionUpstreamReady = "UpstreamReady"
	// ConditionQueueHealthy is true when queued mail is leaving.
	ConditionQueueHealthy = "QueueHealthy"
	// ConditionNetworkRestricted is true when a NetworkPolicy closes all that the relay does not need.
	ConditionNetworkRestricted = "NetworkRestricted"
	// ConditionSendersRestricted is true when no user may send as anybody. It warns: mail does
	// not depend on it.
	ConditionSendersRestricted = "SendersRestricted"
	// ConditionDKIMPublished is true when the DNS shows the records of all DKIM keys that the
	// operator makes. It warns: mail does not depend on it.
	ConditionDKIMPublished = "DKIMPublished"
	// ConditionSendersAccepted, of a RelayUser, is false while an upstream does not take mail from
	// one of its senders. The user can log in all the same.
	ConditionSendersAccepted = "SendersAccepted"
	// ConditionReconciling is true while the operator works towards the spec (kstatus).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is true when only a change by a person helps (kstatus).
	ConditionStalled = "Stalled"
)

// MailRelayStatus is what the operator last saw.
type MailRelayStatus struct {
	// observedGeneration is the generation of the spec that the status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// conditions say what works, and what to do where it does not.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// replicas is the number of relay pods.
	// +optional
	Replicas int32 `json:"replicas"`
	// readyReplicas is the number of relay pods that accept mail.
	// +optional
	ReadyReplicas int32 `json:"readyReplicas"`
	// selector of the relay pods, for the scale subresource.
	// +optional
	Selector string `json:"selector,omitempty"`
	// endpoints are where apps submit mail.
	// +optional
	// +listType=atomic
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	// certificates are what clients of the relay pods are shown: one entry while all pods show the
	// same for a name, on both ports.
	// +optional
	// +listType=atomic
	Certificates []CertificateStatus `json:"certificates,omitempty"`
	// trust is what apps must trust, and where they find it.
	// +optional
	Trust *TrustStatus `json:"trust,omitempty"`
	// upstreams are what the relay pods found of each upstream: by sessions with it that they
	// open for mail, or to see whether they could.
	// +optional
	// +listType=map
	// +listMapKey=name
	Upstreams []UpstreamStatus `json:"upstreams,omitempty"`
	// dkim are the keys that the operator made for spec.dkim[].generate, with the records to
	// publish.
	// +optional
	// +listType=map
	// +listMapKey=domain
	// +listMapKey=selector
	DKIM []DKIMStatus `json:"dkim,omitempty"`
	// queue sums up the queues of all relay pods.
	// +optional
	Queue *QueueStatus `json:"queue,omitempty"`
	// users is the number of RelayUsers that may log in.
	// +optional
	Users int32 `json:"users,omitempty"`
}

// Endpoint is where apps submit mail.
type Endpoint struct {
	// host name to connect to; the certificate carries it.
	Host string `json:"host"`
	// port to connect to.
	Port int32 `json:"port"`
	// tls is Implicit on 465 and StartTLS on 587.
	TLS string `json:"tls"`
}

// CertificateStatus is a certificate that clients of the relay pods are shown. The pods find out
// by handshakes on their own ports, every minute and whenever a certificate changes.
type CertificateStatus struct {
	// name is internal, for the names inside the cluster, or external.
	Name string `json:"name"`
	// host that the client asks for by SNI; empty for a client that asks for none.
	Host string `json:"host"`
	// ports that show it: 465, 587 or both.
	// +listType=set
	Ports []int32 `json:"ports"`
	// notAfter is when the certificate ends.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
	// fingerprint is the SHA-256 of the certificate, in hexadecimal.
	Fingerprint string `json:"fingerprint"`
	// issuer is the common name of what signed it.
	// +optional
	Issuer string `json:"issuer,omitempty"`
	// verified is whether clients accept it for the host: those that trust the CAs of status.trust
	// an internal one, those that trust the public CAs, or the CA in its Secret, an external one.
	// It is missing while pods still show a certificate that has been replaced.
	// +optional
	Verified *bool `json:"verified,omitempty"`
}

// TrustStatus is the internal CA of a relay, of which there is always a generation that signs
// and one that is next. Apps trust both, so that it can rotate at any time.
type TrustStatus struct {
	// configMapName is the ConfigMap, in the relay's namespace, whose key ca.crt holds the CAs that
	// apps must trust. The Secrets of RelayUsers hold the same.
	ConfigMapName string `json:"configMapName"`
	// generations of the CA that exist, by their numbers.
	// +optional
	// +listType=map
	// +listMapKey=generation
	Generations []CAGeneration `json:"generations,omitempty"`
	// nextRotation is when the generation that is next takes over. A rotation that is asked for
	// waits until apps had the time to read of it.
	// +optional
	NextRotation *metav1.Time `json:"nextRotation,omitempty"`
}

// CAGeneration is one generation of a relay's internal CA.
type CAGeneration struct {
	// generation is its number.
	Generation int32 `json:"generation"`
	// role is Next, Signing, Leaving (replaced, while some pod still shows what it signed) or
	// ClientsOnly (apps do not trust it; the relay accepts the certificates of clients that it
	// signed until they have expired).
	Role string `json:"role"`
	// notAfter is when its certificate ends; missing while it is not issued.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
}

// UpstreamStatus is what the relay pods found of an upstream, that for which it looks worst first.
// It is updated when it changes whether the upstream can be used, and otherwise at most once a
// minute.
type UpstreamStatus struct {
	// name of the upstream.
	Name string `json:"name"`
	// reachable is true when a session can be opened: name, connection, TLS, greeting, EHLO.
	Reachable bool `json:"reachable"`
	// authenticated is whether the upstream took the newest login; missing while none was tried.
	// +optional
	Authenticated *bool `json:"authenticated,omitempty"`
	// reason is why the upstream cannot be used, in one word; empty when it can.
	// +optional
	Reason string `json:"reason,omitempty"`
	// lastError says of the reason what was seen and, where that is known, what to change.
	// +optional
	LastError string `json:"lastError,omitempty"`
	// tlsVersion is 1.2 or 1.3; empty without TLS.
	// +optional
	TLSVersion string `json:"tlsVersion,omitempty"`
	// certificateNotAfter is when the upstream's certificate ends; the earliest over all pods.
	// +optional
	CertificateNotAfter *metav1.Time `json:"certificateNotAfter,omitempty"`
	// mechanisms are what can be logged in with, inside TLS where there is TLS.
	// +optional
	// +listType=atomic
	Mechanisms []string `json:"mechanisms,omitempty"`
	// capabilities are those EHLO keywords of the upstream that the relay makes use of.
	// +optional
	// +listType=atomic
	Capabilities []string `json:"capabilities,omitempty"`
	// maxSize is the largest message that the upstream takes, in bytes; missing when it does not say.
	// +optional
	MaxSize int64 `json:"maxSize,omitempty"`
	// observed is when this was first seen as it is.
	// +optional
	Observed *metav1.Time `json:"observed,omitempty"`
}

// QueueStatus sums up the queues of all relay pods. It is updated at most once a minute.
type QueueStatus struct {
	// messages is the number of queued messages.
	Messages int64 `json:"messages"`
	// oldest is when the oldest queued message was accepted.
	// +optional
	Oldest *metav1.Time `json:"oldest,omitempty"`
	// observed is when the numbers were read.
	// +optional
	Observed *metav1.Time `json:"observed,omitempty"`
}
