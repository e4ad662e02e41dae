package readiness

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

var now = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// goodFacts are those of a relay with which nothing is wrong.
func goodFacts() *Facts {
	relay := &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "relay", Generation: 4}}
	relay.Spec.Upstreams = []v1alpha1.Upstream{{
		Name: "provider", Host: "smtp.example.net", Port: 465, CIDRs: []string{"192.0.2.0/24"},
		Auth: &v1alpha1.UpstreamAuth{SecretRef: &v1alpha1.LocalSecretReference{Name: "key"}},
	}}
	return &Facts{
		Relay: relay, Now: now, CertManagerInstalled: true, CertificateLoaded: true,
		Certificates:   []Certificate{{Name: "relay-tls", Ready: true}},
		WorkloadExists: true, Replicas: 1,
		Pods:          []Pod{{Name: "relay-0", Ready: true, Report: &config.Report{}}},
		Queue:         &v1alpha1.QueueStatus{},
		PolicyApplied: true,
	}
}

func failing(class string) *config.Report {
	return &config.Report{Upstreams: []config.UpstreamReport{{
		Name: "provider", LastSuccess: now.Add(-time.Hour), LastError: "it said no", LastErrorTime: now, LastErrorClass: class,
	}}}
}

// dkimKeys are keys in these states.
func dkimKeys(problem string, states ...string) []MadeDKIMKey {
	var keys []MadeDKIMKey
	for i, state := range states {
		k := MadeDKIMKey{Problem: problem}
		k.Domain, k.State, k.Record.Name = "example.com", state, fmt.Sprintf("s%d._domainkey.example.com", i)
		k.Message = DKIMMessage(&k.DKIMStatus, "how", false, problem)
		keys = append(keys, k)
	}
	return keys
}

// showsCertificate is one that clients see.
func showsCertificate(name string, ends time.Time, verified bool) []v1alpha1.CertificateStatus {
	return []v1alpha1.CertificateStatus{{Name: name, Host: "mail.example.com", NotAfter: &metav1.Time{Time: ends}, Verified: &verified}}
}

// showing is what a pod says that found its own ports wrong.
func showing(name, fingerprint, problem string) *config.Report {
	return &config.Report{Certificates: []config.CertificateReport{{
		Name: name, Served: []config.ServedReport{{Fingerprint: fingerprint, Error: problem}},
	}}}
}

// withSecond adds an upstream.
func withSecond(f *Facts) {
	f.Relay.Spec.Upstreams = append(f.Relay.Spec.Upstreams, v1alpha1.Upstream{Name: "second", Provider: "postmark"})
}

var refusedSender = config.SenderReport{User: "app.shop", Sender: "app@example.com", Upstream: "provider", Reply: "554 not verified", Since: now}

// probed are the reports of pods that found this of the upstream.
func probed(f *Facts, faults ...config.Fault) {
	f.Pods, f.Replicas = nil, int32(len(faults))
	for i, fault := range faults {
		probe := &config.ProbeReport{Time: now, Reachable: fault == "", Fault: fault}
		if fault != "" {
			probe.Error = "it is " + string(fault)
		}
		f.Pods = append(f.Pods, Pod{Name: fmt.Sprintf("relay-%d", i), Ready: true, Report: &config.Report{
			Upstreams: []config.UpstreamReport{{Name: "provider", Probe: probe}}}})
	}
}

// loggedIn gives the report of a pod a login.
func loggedIn(p *Pod, fault config.Fault, ago time.Duration) {
	login := &config.LoginReport{Time: now.Add(-ago), Authenticated: fault == "", Fault: fault}
	if fault != "" {
		login.Error = "smtp.example.net refuses the login: 535 5.7.8 no"
	}
	p.Report.Upstreams[0].Probe.Login = login
}

// spare is an upstream beside the one that the relay has.
func spare(f *Facts, fault config.Fault) {
	f.Relay.Spec.Upstreams = append(f.Relay.Spec.Upstreams, v1alpha1.Upstream{
		Name: "spare", Host: "smtp.example.org", Port: 587, TLS: "StartTLS", CIDRs: []string{"192.0.2.0/24"},
	})
	f.Pods[0].Report.Upstreams = append(f.Pods[0].Report.Upstreams, config.UpstreamReport{
		Name: "spare", Probe: &config.ProbeReport{Time: now, Reachable: fault == "", Fault: fault, Error: "it is " + string(fault)},
	})
}

const (
	yes     = metav1.ConditionTrue
	no      = metav1.ConditionFalse
	unknown = metav1.ConditionUnknown
)

func TestMailRelay(t *testing.T) {
	t.Parallel()
	const (
		certificate, workload, upstream, queue = v1alpha1.ConditionCertificateReady, v1alpha1.ConditionWorkloadAvailable, v1alpha1.ConditionUpstreamReady, v1alpha1.ConditionQueueHealthy
		network, senders, published            = v1alpha1.ConditionNetworkRestricted, v1alpha1.ConditionSendersRestricted, v1alpha1.ConditionDKIMPublished
		ready, reconciling, stalled            = v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled
	)
	old := metav1.NewTime(now.Add(-2 * time.Hour))
	young := metav1.NewTime(now.Add(-time.Minute))
	off := false
	zero := int32(0)
	for _, tc := range []struct {
		name    string
		change  func(*Facts)
		on      string
		status  metav1.ConditionStatus
		reason  string
		says    string
		isReady metav1.ConditionStatus
	}{
		{"all is well", func(*Facts) {}, ready, yes, "Serving", "", yes},
		{"no cert-manager", func(f *Facts) { f.CertManagerInstalled, f.CertManagerMissing = false, true }, certificate, no, "CertManagerMissing", "install cert-manager", no},
		{"cert-manager being read", func(f *Facts) { f.CertManagerInstalled = false }, certificate, unknown, "CertManagerStarting", "", unknown},
		{"certificate not issued", func(f *Facts) { f.Certificates[0] = Certificate{Name: "relay-tls", Message: "no luck"} }, certificate, no, "Issuing", "no luck", no},
		{"certificate not written", func(f *Facts) { f.CertificateLoaded = false }, certificate, no, "Issuing", "Secret", no},
		{"issuer missing", func(f *Facts) { f.ExternalProblem = "create the issuer" }, certificate, no, "ExternalCertificateMissing", "create the issuer", no},
		{"renewal takes a while", func(f *Facts) { f.Certificates[0] = Certificate{Name: "relay-tls", Message: "soon", Spare: true} }, certificate, yes, "Issued", "", yes},
		{"external certificate broken", func(f *Facts) { f.ExternalInvalid = "write the key anew" }, certificate, no, "ExternalCertificateInvalid", "write the key anew", no},
		{"expired", func(f *Facts) { f.Served = showsCertificate("internal", now.Add(-time.Second), true) }, certificate, no, "CertificateExpired", "kubectl describe certificate relay-tls", no},
		{"external one expired", func(f *Facts) {
			f.Relay.Spec.TLS = &v1alpha1.RelayTLS{SecretRef: &v1alpha1.LocalSecretReference{Name: "theirs"}}
			f.Served = showsCertificate("external", now.Add(-time.Second), true)
		}, certificate, no, "CertificateExpired", "and its key into Secret theirs", no},
		{"not trusted", func(f *Facts) { f.Served = showsCertificate("internal", now.Add(time.Hour), false) }, certificate, no, "CertificateNotTrusted", "ConfigMap relay-ca", no},
		{"external one from a CA that only clients know", func(f *Facts) { f.Served = showsCertificate("external", now.Add(time.Hour), false) }, certificate, yes, "Issued", "", yes},
		{"port does not answer", func(f *Facts) { f.Pods[0].Report = showing("external", "", "port 587 does not answer") }, certificate, no, "PortNotAnswering", "pod relay-0: port 587 does not answer; if this lasts, see \"kubectl logs -l mailrelay.dev/relay=relay\"", no},
		{"another certificate", func(f *Facts) { f.Pods[0].Report = showing("internal", "ab", "shows another") }, certificate, no, "CertificateNotServed", "pod relay-0: shows another; if this lasts, see \"kubectl logs -l mailrelay.dev/relay=relay\"", no},
		{"name not covered", func(f *Facts) { f.Pods[0].Report = showing("external", "ab", "not for that name") }, certificate, no, "CertificateNotServed", "compare spec.tls.names", no},
		{"a pod without clients shows what it likes", func(f *Facts) {
			f.Replicas = 2
			f.Pods = append(f.Pods, Pod{Name: "relay-1", Report: showing("internal", "", "no answer")})
		}, certificate, yes, "Issued", "", yes},
		{"no pods yet", func(f *Facts) { f.WorkloadExists = false }, workload, no, "WaitingForCertificate", "CertificateReady", no},
		{"no replicas", func(f *Facts) { f.Relay.Spec.Replicas, f.Replicas, f.Pods = &zero, 0, nil }, workload, no, "NoReplicas", "set it to 1", no},
		{"no node", func(f *Facts) { f.Pods[0] = Pod{Name: "relay-0", Unschedulable: "0/3 nodes"} }, workload, no, "PodsUnschedulable", "0/3 nodes", no},
		{"no image", func(f *Facts) { f.Pods[0] = Pod{Name: "relay-0", Waiting: "ImagePullBackOff"} }, workload, no, "ContainerNotStarting", "kubectl describe pod relay-0", no},
		{"not ready", func(f *Facts) { f.Pods[0].Ready = false }, workload, no, "PodsNotReady", "0 of 1", no},
		{"one of three away", func(f *Facts) { f.Replicas = 3; f.Pods = append(f.Pods, f.Pods[0]) }, workload, yes, "PodsReady", "2 of 3", yes},
		{"one of three away is work in progress", func(f *Facts) { f.Replicas = 3; f.Pods = append(f.Pods, f.Pods[0]) }, reconciling, yes, "PodsStarting", "2 of 3", yes},
		{"two of three away", func(f *Facts) { f.Replicas = 3 }, workload, no, "PodsNotReady", "1 of 3", no},
		{"configuration refused", func(f *Facts) { f.Pods[0].Report.Errors = []string{"line 3"} }, workload, no, "ConfigurationRefused", "line 3", no},
		{"configuration on its way", func(f *Facts) { f.Pods[0].Outdated = []string{"/etc/mailrelay/users/03"} }, reconciling, yes, "ConfigurationLoading", "users/03", yes},
		{"DKIM key missing", func(f *Facts) {
			f.DKIM = []DKIMProblem{{Name: "s._domainkey.example.com", Secret: "key", Message: "has no dkim.key: add it"}}
		}, upstream, no, "DKIMKeyUnusable", "s._domainkey.example.com: Secret key in namespace mail has no dkim.key: add it", no},
		{"no DKIM key to make", func(*Facts) {}, published, yes, "NotRequested", "spec.dkim[].generate", yes},
		{"DKIM key that cannot be made", func(f *Facts) {
			f.Relay.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s0", Generate: &v1alpha1.DKIMGenerate{}}}
		}, published, no, "DKIMKeyMissing", "example.com with the selector s0", yes},
		{"DKIM records seen", func(f *Facts) { f.DKIMKeys = dkimKeys("", v1alpha1.DKIMPublished) }, published, yes, "Published", "", yes},
		{"DKIM record to publish", func(f *Facts) { f.DKIMKeys = dkimKeys("", v1alpha1.DKIMPublished, v1alpha1.DKIMWaiting) }, published, no, "DKIMRecordMissing", "publish the TXT record s1._domainkey.example.com", yes},
		{"DKIM record gone", func(f *Facts) { f.DKIMKeys = dkimKeys("", v1alpha1.DKIMMissing) }, published, no, "DKIMRecordMissing", "publish it again", yes},
		{"DKIM record of another key", func(f *Facts) { f.DKIMKeys = dkimKeys("", v1alpha1.DKIMWaiting, v1alpha1.DKIMDiffers) }, published, no, "DKIMRecordDiffers", "the TXT record s1._domainkey.example.com in the DNS is not that of the key (how)", yes},
		{"two DKIM records to publish", func(f *Facts) { f.DKIMKeys = dkimKeys("", v1alpha1.DKIMWaiting, v1alpha1.DKIMWaiting) }, published, no, "DKIMRecordMissing", "of 1 more", yes},
		{"DNS silent after the DKIM record was seen", func(f *Facts) { f.DKIMKeys = dkimKeys("the DNS server does not answer", v1alpha1.DKIMPublished) }, published, no, "DNSUnavailable", "what it last showed holds", yes},
		{"DNS silent before", func(f *Facts) { f.DKIMKeys = dkimKeys("the DNS server does not answer", v1alpha1.DKIMWaiting) }, published, no, "DKIMRecordMissing", "At present the DNS server does not answer", yes},
		{"upstream Secret missing", func(f *Facts) { f.Upstreams = []UpstreamProblem{{Upstream: "provider", Secret: "key"}} }, upstream, no, "UpstreamSecretMissing", "create it in namespace mail", no},
		{"upstream key missing", func(f *Facts) {
			f.Upstreams = []UpstreamProblem{{Upstream: "provider", Secret: "key", MissingKeys: []string{"username", "password"}}}
		}, upstream, no, "UpstreamSecretIncomplete", "no username and no password", no},
		{"upstream CA broken", func(f *Facts) {
			f.Upstreams = []UpstreamProblem{{Upstream: "provider", Secret: "ca", Invalid: "no PEM"}}
		}, upstream, no, "UpstreamSecretInvalid", "no PEM", no},
		{"login refused", func(f *Facts) { f.Pods[0].Report = failing("authentication") }, upstream, no, "UpstreamLoginRefused", "in Secret key", no},
		{"login wanted", func(f *Facts) { f.Relay.Spec.Upstreams[0].Auth = nil; f.Pods[0].Report = failing("authentication") }, upstream, no, "UpstreamWantsLogin", "set auth.secretRef", no},
		{"unreachable", func(f *Facts) { f.Pods[0].Report = failing("connect") }, upstream, no, "UpstreamUnreachable", "it said no", no},
		{"throttled is no outage", func(f *Facts) { f.Pods[0].Report = failing("throttle") }, upstream, yes, "Configured", "", yes},
		{"another pod got through since", func(f *Facts) {
			f.Pods[0].Report = failing("connect")
			f.Pods = append(f.Pods, Pod{Name: "relay-1", Ready: true, Report: &config.Report{
				Upstreams: []config.UpstreamReport{{Name: "provider", LastSuccess: now.Add(time.Second)}}}})
			f.Replicas = 2
		}, upstream, yes, "Configured", "", yes},
		{"two upstreams", withSecond, upstream, yes, "Configured", "upstreams provider, second", yes},
		{"the login of one of two is refused", func(f *Facts) {
			withSecond(f)
			f.Pods[0].Report = failing("authentication")
		}, upstream, no, "UpstreamLoginRefused", "mend username and password in Secret key. Its mail goes to the other upstreams meanwhile", yes},
		{"the second of two is unreachable", func(f *Facts) {
			withSecond(f)
			f.Pods[0].Report = failing("connect")
			f.Pods[0].Report.Upstreams[0].Name = "second"
		}, upstream, no, "UpstreamUnreachable", "upstream second (smtp.postmarkapp.com:587, tls StartTLS) cannot be used: it said no. Its mail goes", yes},
		{"both of two are unreachable", func(f *Facts) {
			withSecond(f)
			f.Pods[0].Report = failing("connect")
			f.Pods[0].Report.Upstreams = append(f.Pods[0].Report.Upstreams, f.Pods[0].Report.Upstreams[0])
			f.Pods[0].Report.Upstreams[1].Name = "second"
		}, upstream, no, "UpstreamUnreachable", "upstream provider (smtp.example.net:465, tls Implicit) cannot be used: it said no. Mail is kept and tried again", no},
		{"one of two is unreachable and the other one slow", func(f *Facts) {
			withSecond(f)
			f.Pods[0].Report = failing("connect")
			f.Pods[0].Report.Upstreams = append(f.Pods[0].Report.Upstreams, config.UpstreamReport{
				Name: "second", LastError: "slow down", LastErrorTime: now, LastErrorClass: "throttle"})
		}, upstream, no, "UpstreamUnreachable", "Its mail goes to the other upstreams meanwhile", yes},
		{"the Secret of one of two is missing", func(f *Facts) {
			withSecond(f)
			f.Upstreams = []UpstreamProblem{{Upstream: "second", Secret: "token"}}
		}, upstream, no, "UpstreamSecretMissing", "create it in namespace mail", yes},
		{"the only upstream of a route is unreachable", func(f *Facts) {
			withSecond(f)
			f.Relay.Spec.Routes = []v1alpha1.Route{{Senders: []string{"news.example.com"}, Upstreams: []string{"second"}}}
			f.Pods[0].Report = failing("connect")
			f.Pods[0].Report.Upstreams[0].Name = "second"
		}, upstream, no, "UpstreamUnreachable", "Mail is kept and tried again", no},
		{"an upstream that shares a route is unreachable", func(f *Facts) {
			withSecond(f)
			f.Relay.Spec.Routes = []v1alpha1.Route{{Senders: []string{"news.example.com"}, Upstreams: []string{"second", "provider"}}, {Upstreams: []string{"provider"}}}
			f.Pods[0].Report = failing("connect")
			f.Pods[0].Report.Upstreams[0].Name = "second"
		}, upstream, no, "UpstreamUnreachable", "Its mail goes to the other upstreams meanwhile", yes},
		{"a token is refused", func(f *Facts) {
			f.Relay.Spec.Upstreams[0].Auth.OAuth2 = &v1alpha1.UpstreamOAuth2{TokenURL: "https://login.example.net/token"}
			f.Pods[0].Report = failing("authentication")
		}, upstream, no, "UpstreamLoginRefused", "mend username, client-id, client-secret and refresh-token in Secret key", no},
		{"a certificate is refused", func(f *Facts) {
			f.Relay.Spec.Upstreams[0].Auth = &v1alpha1.UpstreamAuth{CertificateSecretRef: &v1alpha1.LocalSecretReference{Name: "pair"}}
			f.Pods[0].Report = failing("authentication")
		}, upstream, no, "UpstreamLoginRefused", "mend the certificate in Secret pair", no},
		{"a DKIM key is missing of a relay with two upstreams", func(f *Facts) {
			withSecond(f)
			f.DKIM = []DKIMProblem{{Name: "s._domainkey.example.com", Secret: "key", Message: "has no dkim.key: add it"}}
		}, upstream, no, "DKIMKeyUnusable", "", no},
		{"sender refused", func(f *Facts) {
			f.Pods[0].Report.SendersRefused = []config.SenderReport{refusedSender}
		}, queue, no, "SenderRefused", "upstream provider does not take mail of user app.shop from app@example.com since 2030-01-02T03:04:05Z (554 not verified). Verify the sender at the provider", yes},
		{"many senders refused by two pods", func(f *Facts) {
			f.Pods = append(f.Pods, Pod{Name: "relay-1", Ready: true, Report: &config.Report{}})
			for i, sender := range []string{"b@example.com", "c@example.com", "d@example.com", "", "f@example.com"} {
				r := refusedSender
				r.User, r.Sender, r.Since = "", sender, now.Add(time.Duration(i)*time.Minute)
				f.Pods[0].Report.SendersRefused = append(f.Pods[0].Report.SendersRefused, r)
				r.Since = now.Add(-time.Duration(i) * time.Minute)
				f.Pods[1].Report.SendersRefused = append(f.Pods[1].Report.SendersRefused, r)
			}
			f.Pods[1].Report.SendersRefused = f.Pods[1].Report.SendersRefused[3:]
		}, queue, no, "SenderRefused", "does not take mail from f@example.com since 2030-01-02T03:00:05Z (554 not verified); upstream provider does not take mail from the null sender <> since 2030-01-02T03:01:05Z (554 not verified); upstream provider does not take mail from b@example.com since 2030-01-02T03:04:05Z (554 not verified); and 2 more. Verify", yes},
		{"sender refused, whose mail is old", func(f *Facts) {
			f.Pods[0].Report.SendersRefused = []config.SenderReport{refusedSender}
			f.Queue = &v1alpha1.QueueStatus{Messages: 9, Oldest: &old}
		}, queue, no, "SenderRefused", "", yes},
		{"sender refused, and the upstream puts all mail off", func(f *Facts) {
			f.Pods[0].Report = failing("throttle")
			f.Pods[0].Report.SendersRefused = []config.SenderReport{refusedSender}
			f.Queue = &v1alpha1.QueueStatus{Messages: 9, Oldest: &old}
		}, queue, no, "SenderRefused", "", no},
		{"open ports of a provider and a token endpoint", func(f *Facts) {
			withSecond(f)
			f.Relay.Spec.Upstreams[1].Auth = &v1alpha1.UpstreamAuth{OAuth2: &v1alpha1.UpstreamOAuth2{TokenURL: "https://login.example.net/token"}}
		}, network, yes, "UpstreamPortsOpen", "port 443, 587 is open", yes},
		{"probes find nothing", func(f *Facts) { probed(f, ""); loggedIn(&f.Pods[0], "", 0) }, upstream, yes, "Configured", "", yes},
		{"wrong TLS mode", func(f *Facts) { probed(f, config.FaultExpectsTLS) }, upstream, no, "UpstreamWrongTLSMode",
			"upstream provider (smtp.example.net:465, tls Implicit) cannot be used: it is ExpectsTLS", no},
		{"untrusted certificate", func(f *Facts) { probed(f, config.FaultUntrusted) }, upstream, no, "UpstreamCertificateUntrusted", "it is CertificateUntrusted", no},
		{"no TLS session", func(f *Facts) { probed(f, config.FaultTLS) }, upstream, no, "UpstreamTLSFailed", "it is TLSFailed", no},
		{"no such name", func(f *Facts) { probed(f, config.FaultUnresolved) }, upstream, no, "UpstreamUnreachable", "it is Unresolved", no},
		{"fault of a newer relay", func(f *Facts) { probed(f, "Haunted") }, upstream, no, "UpstreamUnreachable", "it is Haunted", no},
		{"busy", func(f *Facts) { probed(f, config.FaultThrottled) }, upstream, yes, "Configured", "", yes},
		{"one pod cannot reach it", func(f *Facts) { probed(f, "", config.FaultUnreachable, "") }, upstream, no, "UpstreamUnreachable",
			"cannot be used from pod relay-1, though others see it better: it is Unreachable", no},
		{"pods find different faults", func(f *Facts) { probed(f, config.FaultSilent, config.FaultExpectsTLS) }, upstream, no, "UpstreamWrongTLSMode", "from pod relay-1", no},
		{"no pod can reach it", func(f *Facts) { probed(f, config.FaultUnreachable, config.FaultUnreachable) }, upstream, no, "UpstreamUnreachable", "cannot be used: it is Unreachable", no},
		{"probe finds the login refused", func(f *Facts) { probed(f, ""); loggedIn(&f.Pods[0], config.FaultLoginRefused, 0) }, upstream, no, "UpstreamLoginRefused",
			"refuses the login: 535 5.7.8 no: mend username and password in Secret key. Mail is kept and tried again", no},
		{"busy, and refuses the login", func(f *Facts) {
			probed(f, config.FaultThrottled)
			loggedIn(&f.Pods[0], config.FaultLoginRefused, 0)
		}, upstream, no, "UpstreamLoginRefused", "", no},
		{"no login that the relay knows", func(f *Facts) { probed(f, ""); loggedIn(&f.Pods[0], config.FaultLoginUnsupported, 0) }, upstream, no, "UpstreamLoginUnsupported", "", no},
		{"another pod logged in since", func(f *Facts) {
			probed(f, "", "")
			loggedIn(&f.Pods[0], config.FaultLoginRefused, time.Minute)
			loggedIn(&f.Pods[1], "", 0)
		}, upstream, yes, "Configured", "", yes},
		{"another pod was refused since", func(f *Facts) {
			probed(f, "", "")
			loggedIn(&f.Pods[0], "", time.Minute)
			loggedIn(&f.Pods[1], config.FaultLoginRefused, 0)
		}, upstream, no, "UpstreamLoginRefused", "", no},
		{"others take over", func(f *Facts) { probed(f, config.FaultSilent); spare(f, "") }, upstream, no, "UpstreamUnreachable", "it is Silent. Its mail goes to the other upstreams meanwhile", yes},
		{"spare that is broken", func(f *Facts) { probed(f, ""); spare(f, config.FaultNoSTARTTLS) }, upstream, no, "UpstreamWrongTLSMode",
			"upstream spare (smtp.example.org:587, tls StartTLS) cannot be used: it is NoSTARTTLS", yes},
		{"all are broken", func(f *Facts) { probed(f, config.FaultSilent); spare(f, config.FaultNoSTARTTLS) }, upstream, no, "UpstreamUnreachable",
			"it is Silent. Mail is kept and tried again; upstream spare", no},
		{"the only upstream of a route is broken", func(f *Facts) {
			probed(f, "")
			spare(f, config.FaultSilent)
			f.Relay.Spec.Routes = []v1alpha1.Route{{Senders: []string{"news.example.com"}, Upstreams: []string{"spare"}}}
		}, upstream, no, "UpstreamUnreachable", "Mail is kept and tried again", no},
		{"no token", func(f *Facts) { probed(f, ""); loggedIn(&f.Pods[0], config.FaultNoToken, 0) }, upstream, no, "UpstreamTokenMissing", "", no},
		{"others cannot sign", func(f *Facts) {
			probed(f, config.FaultSilent)
			spare(f, "")
			f.DKIM = []DKIMProblem{{Name: "s._domainkey.example.com", Secret: "key", Message: "has no dkim.key: add it"}}
		}, upstream, no, "DKIMKeyUnusable", "", no},
		{"queue unknown", func(f *Facts) { f.Queue = nil }, queue, unknown, "NoReport", "", unknown},
		{"young mail", func(f *Facts) { f.Queue = &v1alpha1.QueueStatus{Messages: 9, Oldest: &young} }, queue, yes, "Delivering", "", yes},
		{"old mail", func(f *Facts) { f.Queue = &v1alpha1.QueueStatus{Messages: 9, Oldest: &old} }, queue, no, "OldMail", "waits since 2030-01-02T01:04:05Z, and the relay has delivered none since its pods started", yes},
		{"old mail, old delivery", func(f *Facts) {
			f.Queue = &v1alpha1.QueueStatus{Messages: 9, Oldest: &old}
			f.Pods[0].Report.Queue.LastDelivery = now.Add(-90 * time.Minute)
		}, queue, no, "OldMail", "none since 2030-01-02T01:34:05Z", yes},
		{"old mail, recent delivery", func(f *Facts) {
			f.Queue = &v1alpha1.QueueStatus{Messages: 9, Oldest: &old}
			f.Pods = append(f.Pods, Pod{Name: "relay-1", Ready: true, Report: &config.Report{}})
			f.Pods[0].Report.Queue.LastDelivery = now.Add(-time.Minute)
		}, queue, yes, "Delivering", "", yes},
		{"damaged mail", func(f *Facts) {
			f.Pods[0].Report = failing("throttle")
			f.Pods[0].Report.Queue.Quarantined = 2
			f.Pods = append(f.Pods, Pod{Name: "relay-1", Ready: true, Report: &config.Report{Queue: config.QueueReport{Quarantined: 1}}})
		}, queue, no, "MailQuarantined", "3 messages were damaged on disk, put aside and not delivered: see in the log of pod relay-0, relay-1", yes},
		{"damaged and old mail", func(f *Facts) {
			f.Queue = &v1alpha1.QueueStatus{Messages: 9, Oldest: &old}
			f.Pods[0].Report.Queue.Quarantined = 2
		}, queue, no, "OldMail", "", yes},
		{"policy refused", func(f *Facts) {
			f.PolicyApplied, f.Refused = false, []Refusal{{Kind: "NetworkPolicy", Message: "spec.ingress[0]: Invalid value"}}
		}, stalled, yes, "ChildRefused", "made of spec.access, spec.networkPolicy or cidrs: spec.ingress[0]: Invalid value; change it there", no},
		{"pods refused", func(f *Facts) {
			f.WorkloadExists, f.Refused = false, []Refusal{{Kind: "StatefulSet", Message: "spec.template: Invalid value"}}
		}, workload, no, "ChildRefused", "made of spec.scheduling, spec.resources or spec.queue", no},
		{"something else refused", func(f *Facts) { f.Refused = []Refusal{{Message: "too long"}} }, ready, no, "ChildRefused", "made of spec: too long", no},
		{"old mail of a relay that tries seldom", func(f *Facts) {
			f.Queue = &v1alpha1.QueueStatus{Messages: 9, Oldest: &old}
			f.Relay.Spec.Queue.Retry.Max = &metav1.Duration{Duration: 90 * time.Minute}
		}, queue, yes, "Delivering", "", yes},
		{"old mail that the upstream puts off", func(f *Facts) {
			f.Queue = &v1alpha1.QueueStatus{Messages: 9, Oldest: &old}
			f.Pods[0].Report = failing("throttle")
		}, queue, no, "OldMail", "", no},
		{"pods wait for the policy", func(f *Facts) { f.PolicyApplied, f.WorkloadExists = false, false }, workload, no, "WaitingForPolicy", "NetworkRestricted", no},
		{"failure of a step", func(f *Facts) { f.Failure, f.Undecided = errors.New("no quota"), []string{network} }, network, unknown, "Retrying", "no quota", unknown},
		{"failure that concerns no condition", func(f *Facts) { f.Failure = errors.New("no quota") }, workload, yes, "PodsReady", "", unknown},
		{"failure, and news of the pods", func(f *Facts) { f.Failure, f.Pods[0].Ready = errors.New("no quota"), false }, ready, no, "PodsNotReady", "", no},
		{"failure is work in progress", func(f *Facts) { f.Failure = errors.New("no quota") }, reconciling, yes, "Retrying", "no quota", unknown},
		{"failure in a deletion", func(f *Facts) { f.Failure, f.Deletion = errors.New("no quota"), &Deletion{} }, ready, unknown, "Retrying", "no quota", unknown},
		{"no policy wanted", func(f *Facts) { f.Relay.Spec.NetworkPolicy.Enabled = &off }, network, no, "PolicyDisabled", "set it to true", yes},
		{"no policy", func(f *Facts) { f.PolicyApplied = false }, network, no, "PolicyMissing", "", yes},
		{"open upstream port", func(f *Facts) { f.Relay.Spec.Upstreams[0].CIDRs = nil }, network, yes, "UpstreamPortsOpen", "465", yes},
		{"any sender", func(f *Facts) { f.AnySender = []string{"a", "b", "c", "d", "e", "f", "g"} }, senders, no, "AnySender", "a, b, c, d, e and 2 more", yes},
		{"foreign object", func(f *Facts) { f.NotOurs = []string{"Secret x exists and is not ours: rename or delete it"} }, stalled, yes, "NameTaken", "Secret x", no},
		{"invalid spec", func(f *Facts) { f.Invalid = "line 3" }, stalled, yes, "InvalidSpec", "line 3", no},
		{"scale-down", func(f *Facts) { f.Replicas = 3; f.Pods = append(f.Pods, f.Pods[0], f.Pods[0]) }, stalled, yes, "ScaleDownRefused", "set spec.replicas to 3", yes},
		{"paused", func(f *Facts) {
			f.Relay.Spec.Paused, f.Replicas = true, 3
			f.Pods = append(f.Pods, f.Pods[0], f.Pods[0])
		}, stalled, yes, "Paused", "set it to false", yes},
		{"paused before its start", func(f *Facts) { f.Relay.Spec.Paused, f.WorkloadExists = true, false }, workload, no, "Paused", "set it to false", no},
		{"paused with a broken pod", func(f *Facts) { f.Relay.Spec.Paused, f.Pods[0].Ready = true, false }, ready, no, "PodsNotReady", "", no},
		{"other size", func(f *Facts) { f.QueueSize = "5Gi"; q := resource.MustParse("9Gi"); f.Relay.Spec.Queue.Size = &q }, stalled, yes, "QueueSizeKept", "9Gi", yes},
		{"deletion with mail", func(f *Facts) { f.Deletion = &Deletion{Queued: 3} }, ready, no, "QueueNotEmpty", "3 queued messages", no},
		{"deletion with damaged mail", func(f *Facts) { f.Deletion = &Deletion{Quarantined: 2} }, ready, no, "MailQuarantined", "2 messages were damaged", no},
		{"deletion with a silent volume", func(f *Facts) { f.Deletion = &Deletion{Silent: []string{"spool-relay-1"}} }, ready, no, "QueueUnknown", "spool-relay-1", no},
		{"deletion at work", func(f *Facts) { f.Deletion = &Deletion{Removing: true} }, reconciling, yes, "Removing", "", no},
		{"end of the namespace", func(f *Facts) { f.Deletion = &Deletion{NamespaceEnds: true, Queued: 3} }, ready, no, "NamespaceEnds", "3 queued", no},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			facts := goodFacts()
			tc.change(facts)
			conditions := MailRelay(facts)
			checkRules(t, conditions, 4)
			c := meta.FindStatusCondition(conditions, tc.on)
			if c.Status != tc.status || c.Reason != tc.reason || !strings.Contains(c.Message, tc.says) {
				t.Errorf("%s is %s %s: %q; want %s %s that says %q", tc.on, c.Status, c.Reason, c.Message, tc.status, tc.reason, tc.says)
			}
			if r := meta.FindStatusCondition(conditions, ready); r.Status != tc.isReady {
				t.Errorf("Ready is %s (%s), want %s", r.Status, r.Reason, tc.isReady)
			}
		})
	}
}

var reasonForm = regexp.MustCompile(`^[A-Z][A-Za-z]+$`)

// checkRules holds conditions to the conventions of the Kubernetes API and kstatus.
func checkRules(t *testing.T, conditions []metav1.Condition, generation int64) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range conditions {
		if seen[c.Type] {
			t.Errorf("%s is there twice", c.Type)
		}
		seen[c.Type] = true
		if !reasonForm.MatchString(c.Reason) {
			t.Errorf("%s: reason %q is not CamelCase", c.Type, c.Reason)
		}
		if c.Message == "" || len(c.Message) > 4096 {
			t.Errorf("%s: message of %d characters", c.Type, len(c.Message))
		}
		if c.ObservedGeneration != generation {
			t.Errorf("%s: generation %d, want %d", c.Type, c.ObservedGeneration, generation)
		}
	}
	for _, name := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if !seen[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestPausedRelayIsStillJudged(t *testing.T) {
	t.Parallel()
	facts := goodFacts()
	facts.Relay.Spec.Paused = true
	conditions := MailRelay(facts)
	checkRules(t, conditions, 4)
	for name, want := range map[string]metav1.ConditionStatus{v1alpha1.ConditionReady: yes, v1alpha1.ConditionStalled: yes, v1alpha1.ConditionReconciling: no} {
		if c := meta.FindStatusCondition(conditions, name); c.Status != want {
			t.Errorf("%s is %s %s, want %s", name, c.Status, c.Reason, want)
		}
	}
	for _, name := range []string{v1alpha1.ConditionSendersRestricted, v1alpha1.ConditionDKIMPublished} {
		if c := meta.FindStatusCondition(conditions, name); c != nil {
			t.Errorf("users or keys that were not looked at are judged: %+v", c)
		}
	}
}

func TestLongMessagesAreCut(t *testing.T) {
	t.Parallel()
	facts := goodFacts()
	facts.Invalid = strings.Repeat("x", 10000)
	checkRules(t, MailRelay(facts), 4)
}

// The order of pods and the time of their probes must make no difference where the answer is
// written to status.
func TestFoundIsTheSameWhateverPodToldLast(t *testing.T) {
	t.Parallel()
	f := goodFacts()
	probed(f, config.FaultSession, config.FaultUnreachable, config.FaultSession)
	first := FoundOf(f.Pods, "provider")
	f.Pods[0].Report.Upstreams[0].Probe.Time = now.Add(time.Hour)
	if again := FoundOf(f.Pods, "provider"); *again != *first || again.Pod != "relay-1" {
		t.Errorf("%+v, then %+v", first, again)
	}
	if FoundOf(f.Pods, "other") != nil || FoundOf([]Pod{{Name: "silent"}}, "provider") != nil {
		t.Error("something is found where nobody looked")
	}
}
