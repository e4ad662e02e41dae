package controllers

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// Each refusal of the API server must say what to write instead.
func TestAPIRefusesAndSaysWhatToWrite(t *testing.T) {
	c, namespace := onCluster(t)
	no := false
	quantity := func(s string) *resource.Quantity { q := resource.MustParse(s); return &q }
	named := func(name string) func(*v1alpha1.MailRelay) {
		return func(r *v1alpha1.MailRelay) {
			r.Spec.TLS = &v1alpha1.RelayTLS{Names: []string{name}, SecretRef: &v1alpha1.LocalSecretReference{Name: "a"}}
		}
	}
	lasting := func(d time.Duration) *metav1.Duration { return &metav1.Duration{Duration: d} }
	for _, tc := range []struct {
		name, want string
		spoil      func(*v1alpha1.MailRelay)
	}{
		{"long name", "use at most 40 characters", func(r *v1alpha1.MailRelay) { r.Name = strings.Repeat("a", 41) }},
		{"name that begins with a digit", "starting with a letter", func(r *v1alpha1.MailRelay) { r.Name = "1relay" }},
		{"both listeners off", "set submissions.enabled or submission.enabled to true", func(r *v1alpha1.MailRelay) {
			r.Spec.Listeners.Submissions.Enabled, r.Spec.Listeners.Submission.Enabled = &no, &no
		}},
		{"two sources of a certificate", "keep one", func(r *v1alpha1.MailRelay) {
			r.Spec.TLS = &v1alpha1.RelayTLS{Names: []string{"a.example"}, IssuerRef: &v1alpha1.IssuerReference{Name: "a"}, SecretRef: &v1alpha1.LocalSecretReference{Name: "b"}}
		}},
		{"issuer without names", "list the external host names", func(r *v1alpha1.MailRelay) {
			r.Spec.TLS = &v1alpha1.RelayTLS{IssuerRef: &v1alpha1.IssuerReference{Name: "a"}}
		}},
		{"external name with a dot at the end", "write a host name such as mail.example.com", named("mail.example.com.")},
		{"external name with an underscore", "write a host name such as mail.example.com", named("smtp_relay.example.com")},
		{"external name with a port", "write a host name such as mail.example.com", named("mail.example.com:465")},
		{"external name with a star in it", "write a host name such as mail.example.com", named("mail*.example.com")},
		{"plaintext without acknowledgement", "use Implicit or StartTLS", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].TLS = "None" }},
		{"upstream host with scheme", "write a host name such as smtp.example.com", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Host = "smtps://smtp.example.com" }},
		{"upstream block", "192.0.2.0/24", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].CIDRs = []string{"smtp.example.com"} }},
		{"upstream without host", "set host, such as smtp.example.com, or provider", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Host = "" }},
		{"upstream without port", "set port, usually 465", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Port = 0 }},
		{"unknown provider", "Unsupported value", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Provider = "nobody" }},
		{"provider with a host for each customer", "set host to yours", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0] = v1alpha1.Upstream{Name: "a", Provider: "ses"}
		}},
		{"provider without implicit TLS", "leave tls out", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0] = v1alpha1.Upstream{Name: "a", Provider: "postmark", TLS: "Implicit"}
		}},
		{"provider in the clear", "providers want TLS", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0] = v1alpha1.Upstream{Name: "a", Provider: "postmark", TLS: "None", PlaintextAcknowledgement: "mail and credentials travel unencrypted"}
		}},
		{"weight of nothing", "spec.upstreams[0].weight", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Weight = ptr(int32(0)) }},
		{"upstream rate of nothing", "set messages, recipients or both", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0].Limits.Rates = []v1alpha1.UpstreamRate{{}}
		}},
		{"upstream rate for a week", "set a period between 1s and 24h", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0].Limits.Rates = []v1alpha1.UpstreamRate{{Messages: ptr(int32(1)), Period: lasting(7 * 24 * time.Hour)}}
		}},
		{"route to nobody", "write the name of one that is", func(r *v1alpha1.MailRelay) {
			r.Spec.Routes = []v1alpha1.Route{{Upstreams: []string{"nobody"}}}
		}},
		{"route after one for all mail", "make it the last one", func(r *v1alpha1.MailRelay) {
			r.Spec.Routes = []v1alpha1.Route{{Upstreams: []string{"provider"}}, {Senders: []string{"example.com"}, Upstreams: []string{"provider"}}}
		}},
		{"two routes for all mail", "make it the last one", func(r *v1alpha1.MailRelay) {
			r.Spec.Routes = []v1alpha1.Route{{Upstreams: []string{"provider"}}, {Upstreams: []string{"provider"}}}
		}},
		{"no way for the rest", "add a last route without senders and recipients", func(r *v1alpha1.MailRelay) {
			r.Spec.Routes = []v1alpha1.Route{{Senders: []string{"example.com"}, Upstreams: []string{"provider"}}}
		}},
		{"route sender", "leave senders out for all", func(r *v1alpha1.MailRelay) {
			r.Spec.Routes = []v1alpha1.Route{{Senders: []string{"*"}, Upstreams: []string{"provider"}}, {Upstreams: []string{"provider"}}}
		}},
		{"route recipient", "leave recipients out for all", func(r *v1alpha1.MailRelay) {
			r.Spec.Routes = []v1alpha1.Route{{Recipients: []string{"<>"}, Upstreams: []string{"provider"}}, {Upstreams: []string{"provider"}}}
		}},
		{"login of nothing", "set secretRef, or certificateSecretRef", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Auth = &v1alpha1.UpstreamAuth{} }},
		{"password without Secret", "log in with a password: set secretRef", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0].Auth = &v1alpha1.UpstreamAuth{Mechanism: "PLAIN", CertificateSecretRef: &v1alpha1.LocalSecretReference{Name: "a"}}
		}},
		{"tokens without oauth2", "set oauth2, or leave mechanism out", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Auth.Mechanism = "XOAUTH2" }},
		{"oauth2 without Secret", "client-id, client-secret", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0].Auth = &v1alpha1.UpstreamAuth{CertificateSecretRef: &v1alpha1.LocalSecretReference{Name: "a"}, OAuth2: &v1alpha1.UpstreamOAuth2{TokenURL: "https://a.example/t"}}
		}},
		{"oauth2 by password", "XOAUTH2 and OAUTHBEARER: write one of them", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0].Auth.Mechanism, r.Spec.Upstreams[0].Auth.OAuth2 = "PLAIN", &v1alpha1.UpstreamOAuth2{TokenURL: "https://a.example/t"}
		}},
		{"certificate that is none", "set certificateSecretRef", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Auth.Mechanism = "EXTERNAL" }},
		{"mechanism", "Unsupported value", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Auth.Mechanism = "CRAM-MD5" }},
		{"token endpoint in the clear", "begins with https://", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0].Auth.OAuth2 = &v1alpha1.UpstreamOAuth2{TokenURL: "http://a.example/t"}
		}},
		{"two scopes in one", "an item of its own", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0].Auth.OAuth2 = &v1alpha1.UpstreamOAuth2{TokenURL: "https://a.example/t", Scopes: []string{"mail offline"}}
		}},
		{"token block", "192.0.2.0/24", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0].Auth.OAuth2 = &v1alpha1.UpstreamOAuth2{TokenURL: "https://a.example/t", CIDRs: []string{"a.example"}}
		}},
		{"tokens in the clear", "tokens and certificates need TLS", func(r *v1alpha1.MailRelay) {
			u := &r.Spec.Upstreams[0]
			u.TLS, u.PlaintextAcknowledgement, u.Auth.OAuth2 = "None", "mail and credentials travel unencrypted", &v1alpha1.UpstreamOAuth2{TokenURL: "https://a.example/t"}
		}},
		{"rule block", "192.0.2.0/24", func(r *v1alpha1.MailRelay) {
			r.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{CIDRs: []string{"10.0.0.1"}}}}
		}},
		{"rule that chooses no namespaces", "an empty selector {} means all namespaces", func(r *v1alpha1.MailRelay) {
			r.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Namespaces: &v1alpha1.NamespaceRule{}}}}
		}},
		{"rule sender", "write an address such as app@example.com", func(r *v1alpha1.MailRelay) {
			r.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Senders: []string{"*@example.com, b"}}}}
		}},
		{"rule mailbox named star", "write an address such as app@example.com", func(r *v1alpha1.MailRelay) {
			r.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{Senders: []string{"*@example.com"}}}}
		}},
		{"recipient", "write an address such as bob@example.net", func(r *v1alpha1.MailRelay) {
			r.Spec.Message.Recipients.Deny = []string{"*"}
		}},
		{"recipient without a domain", "write an address such as bob@example.net", func(r *v1alpha1.MailRelay) {
			r.Spec.Message.Recipients.Allow = []string{"bob@"}
		}},
		{"rate of nothing", "set messages, recipients or both", func(r *v1alpha1.MailRelay) {
			r.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{SendingLimits: v1alpha1.SendingLimits{Rate: &v1alpha1.Rate{}}}}}
		}},
		{"long period", "set a period between 1s and 24h", func(r *v1alpha1.MailRelay) {
			rate := &v1alpha1.Rate{Messages: ptr(int32(1)), Period: lasting(25 * time.Hour)}
			r.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{SendingLimits: v1alpha1.SendingLimits{Rate: rate}}}}
		}},
		{"upstream Secret", "write the name of a Secret", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Auth.SecretRef.Name = "Provider Key" }},
		{"CA Secret", "write the name of a Secret", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams[0].CASecretRef = &v1alpha1.LocalSecretReference{Name: "ca/cert"}
		}},
		{"issuer", "write the name of an issuer", func(r *v1alpha1.MailRelay) {
			r.Spec.TLS = &v1alpha1.RelayTLS{Names: []string{"a.example"}, IssuerRef: &v1alpha1.IssuerReference{Name: "Public CA"}}
		}},
		{"annotation", "write each key as a name or domain/name", func(r *v1alpha1.MailRelay) { r.Spec.Service.Annotations = map[string]string{"load balancer": "yes"} }},
		{"rule recipient", "write an address such as bob@example.net", func(r *v1alpha1.MailRelay) {
			limits := v1alpha1.SendingLimits{Recipients: v1alpha1.UserRecipients{Allow: []string{"*"}}}
			r.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{SendingLimits: limits}}}
		}},
		{"open load balancer", "list the address blocks of your clients", func(r *v1alpha1.MailRelay) { r.Spec.Service.Type = "LoadBalancer" }},
		{"endless lifetime", "set a lifetime between 1m and 720h", func(r *v1alpha1.MailRelay) { r.Spec.Queue.Lifetime = lasting(1000 * time.Hour) }},
		{"no pause", "set a pause between 1s and 24h", func(r *v1alpha1.MailRelay) { r.Spec.Queue.Retry.Initial = lasting(0) }},
		{"long first pause", "write at most retry.max", func(r *v1alpha1.MailRelay) {
			r.Spec.Queue.Retry = v1alpha1.Retry{Initial: lasting(time.Hour), Max: lasting(time.Minute)}
		}},
		{"postmaster", "postmaster@example.com", func(r *v1alpha1.MailRelay) { r.Spec.Queue.Postmaster = "root" }},
		{"delay of nothing", "set a delay between 1m and 720h", func(r *v1alpha1.MailRelay) { r.Spec.Queue.DelayNotice = lasting(0) }},
		{"bounce sender", "such as bounces@example.com", func(r *v1alpha1.MailRelay) {
			r.Spec.Queue.Postmaster, r.Spec.Queue.BounceSender = "postmaster@example.com", "root"
		}},
		{"bounce sender alone", "set queue.postmaster too", func(r *v1alpha1.MailRelay) { r.Spec.Queue.BounceSender = "bounces@example.com" }},
		{"tiny message", "set maxSize between 64Ki and 256Mi", func(r *v1alpha1.MailRelay) { r.Spec.Message.MaxSize = quantity("1Ki") }},
		{"rewriting nothing", "'*.example.com' for what is below it", func(r *v1alpha1.MailRelay) {
			r.Spec.Message.Rewrite = []v1alpha1.Rewrite{{Match: "*@example.com", To: "example.com"}}
		}},
		{"rewriting to a host", "write an address such as noreply@example.com", func(r *v1alpha1.MailRelay) {
			r.Spec.Message.Rewrite = []v1alpha1.Rewrite{{Match: "*", To: "noreply@localhost"}}
		}},
		{"qualifying host", "write a domain such as example.com", func(r *v1alpha1.MailRelay) { r.Spec.Message.QualifyDomain = "localhost" }},
		{"dropped colon", "without a colon", func(r *v1alpha1.MailRelay) { r.Spec.Message.DropHeaders = []string{"X-Mailer:"} }},
		{"dropped From", "cannot be dropped", func(r *v1alpha1.MailRelay) { r.Spec.Message.DropHeaders = []string{"FROM"} }},
		{"unsigned From", "From must be signed", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].UnsignedHeaders = []string{"From"} }},
		{"DKIM selector", "such as s1 or s1.mail", func(r *v1alpha1.MailRelay) {
			r.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s1..mail", SecretRef: &v1alpha1.LocalSecretReference{Name: "k"}}}
		}},
		{"DKIM domain", "write a domain in lower case", func(r *v1alpha1.MailRelay) {
			r.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "Example.com", Selector: "s", SecretRef: &v1alpha1.LocalSecretReference{Name: "k"}}}
		}},
		{"DKIM key of nobody", "set one of secretRef", func(r *v1alpha1.MailRelay) {
			r.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s"}}
		}},
		{"DKIM key of two", "set one of secretRef", func(r *v1alpha1.MailRelay) {
			r.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s", SecretRef: &v1alpha1.LocalSecretReference{Name: "k"}, Generate: &v1alpha1.DKIMGenerate{}}}
		}},
		{"selector to begin with that has a dot", "without a dot, such as mail", func(r *v1alpha1.MailRelay) {
			r.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s1.mail", Generate: &v1alpha1.DKIMGenerate{}}}
		}},
		{"selector to begin with that is long", "at most 24 characters", func(r *v1alpha1.MailRelay) {
			r.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "abcdefghijklmnopqrstuvwxy", Generate: &v1alpha1.DKIMGenerate{}}}
		}},
		{"DKIM interval", "set an interval between 24h and 26280h", func(r *v1alpha1.MailRelay) {
			r.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s", Generate: &v1alpha1.DKIMGenerate{Rotation: v1alpha1.DKIMRotation{Interval: &metav1.Duration{Duration: time.Hour}}}}}
		}},
		{"DKIM overlap", "set an overlap between 1h and 720h", func(r *v1alpha1.MailRelay) {
			r.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s", Generate: &v1alpha1.DKIMGenerate{Rotation: v1alpha1.DKIMRotation{Overlap: &metav1.Duration{Duration: time.Minute}}}}}
		}},
		{"sender domain", "'*.example.com' for its sub-domains", func(r *v1alpha1.MailRelay) { r.Spec.Message.SenderDomains = []string{"@example.com"} }},
	} {
		relay := newRelay(namespace)
		relay.Name = "refused"
		tc.spoil(relay)
		refused(t, tc.name, tc.want, c.Create(t.Context(), relay, client.DryRunAll))
	}
}

// Raw objects hold what the Go types would leave out or could not say.
func TestAPIRefusesRulesThatChooseNobodyOrBreakThePolicy(t *testing.T) {
	c, namespace := onCluster(t)
	expression := func(fields map[string]any) map[string]any {
		fields["key"] = "team"
		return map[string]any{"matchExpressions": []any{fields}}
	}
	in := func(selector map[string]any) map[string]any { return map[string]any{"podSelector": selector} }
	for _, tc := range []struct {
		name, want string
		rule       map[string]any
	}{
		{"empty names", "choose namespaces by names or by selector", map[string]any{"namespaces": map[string]any{"names": []any{}}}},
		{"operator in lower case", "write the operator In, NotIn", in(expression(map[string]any{"operator": "in", "values": []any{"shop"}}))},
		{"In without values", "In and NotIn need values", in(expression(map[string]any{"operator": "In"}))},
		{"In with empty values", "In and NotIn need values", in(expression(map[string]any{"operator": "In", "values": []any{}}))},
		{"Exists with values", "In and NotIn need values", in(expression(map[string]any{"operator": "Exists", "values": []any{"shop"}}))},
		{"selector of namespaces", "write the operator In, NotIn", map[string]any{"namespaces": map[string]any{"selector": expression(map[string]any{"operator": "near"})}}},
		{"", "", in(expression(map[string]any{"operator": "NotIn", "values": []any{"shop"}}))},
		{"", "", in(expression(map[string]any{"operator": "Exists"}))},
	} {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(newRelay(namespace))
		if err != nil {
			t.Fatal(err)
		}
		relay := &unstructured.Unstructured{Object: content}
		relay.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MailRelay"))
		unstructured.RemoveNestedField(content, "status")
		if err := unstructured.SetNestedSlice(content, []any{tc.rule}, "spec", "access", "rules"); err != nil {
			t.Fatal(err)
		}
		err = c.Create(t.Context(), relay, client.DryRunAll)
		if tc.want != "" {
			refused(t, tc.name, tc.want, err)
		} else if err != nil {
			t.Errorf("%v is refused: %v", tc.rule, err)
		}
	}
}

func TestAPIRefusesChangesThatCannotBe(t *testing.T) {
	c, _ := onCluster(t)
	namespace := c.namespace(t, map[string]string{heldLabel: "true"})
	relay := newRelay(namespace)
	size := resource.MustParse("2Gi")
	relay.Spec.Queue.Size = &size
	c.mustCreate(t, relay)
	user := newUser(namespace, "app", relay)
	c.mustCreate(t, user)
	class := "fast"
	for _, tc := range []struct {
		name, want string
		object     client.Object
		spoil      func()
	}{
		{"smaller volume", "a volume cannot shrink", relay, func() { *relay.Spec.Queue.Size = resource.MustParse("1Gi") }},
		{"storage class", "make a new MailRelay with the other class", relay, func() { relay.Spec.Queue.StorageClassName = &class }},
		{"another relay", "make a new RelayUser for the other relay", user, func() { user.Spec.RelayRef.Name = "other" }},
		{"another Secret", "make a new RelayUser", user, func() { user.Spec.SecretName = "other" }},
		{"sender", "write an address such as app@example.com", user, func() { user.Spec.AllowedSenders = []string{"two words"} }},
	} {
		eventually(t, tc.name, func() error {
			c.mustGet(t, tc.object)
			tc.spoil()
			err := c.Update(t.Context(), tc.object, client.DryRunAll)
			if err != nil && strings.Contains(err.Error(), "the object has been modified") {
				return err
			}
			refused(t, tc.name, tc.want, err)
			return nil
		})
	}
}

func TestAPITakesWhatItShould(t *testing.T) {
	c, namespace := onCluster(t)
	relay := newRelay(namespace)
	relay.Name = "taken"
	relay.Spec.Service.Annotations = map[string]string{"example.com/load-balancer": "yes", "Plain_name": "yes"}
	relay.Spec.Upstreams[0].TLS, relay.Spec.Upstreams[0].PlaintextAcknowledgement = "None", "mail and credentials travel unencrypted"
	relay.Spec.Access = &v1alpha1.Access{Rules: []v1alpha1.AccessRule{{
		Senders: []string{"*", "<>", "app@example.com", "*.example.com", "a+b@xn--bcher-kva.example", "Example.COM"}, CIDRs: []string{"192.0.2.0/24", "2001:db8::/32"},
	}}}
	relay.Spec.Message.Rewrite = []v1alpha1.Rewrite{{Match: "*", To: "example.com"}, {Match: "*.pod.cluster.local", To: "a+b@example.com"}, {Match: "root@localhost", To: "x.example"}}
	relay.Spec.Message.QualifyDomain, relay.Spec.Message.DropHeaders = "Example.com", []string{"X-Mailer", "User-Agent"}
	relay.Spec.Upstreams[0].UnsignedHeaders = []string{"Message-ID", "Date"}
	relay.Spec.DKIM = []v1alpha1.DKIMKey{
		{Domain: "mail.example.com", Selector: "s1", SecretRef: &v1alpha1.LocalSecretReference{Name: "k"}},
		{Domain: "mail.example.com", Selector: "s2.mail", SecretRef: &v1alpha1.LocalSecretReference{Name: "l"}},
		{Domain: "mail.example.com", Selector: "abcdefghijklmnopqrstuvwx", Generate: &v1alpha1.DKIMGenerate{Algorithm: "Ed25519", Rotation: v1alpha1.DKIMRotation{Interval: &metav1.Duration{Duration: 4380 * time.Hour}}}},
	}
	ref := &v1alpha1.LocalSecretReference{Name: "s"}
	relay.Spec.Upstreams = append(relay.Spec.Upstreams,
		v1alpha1.Upstream{Name: "ses", Provider: "ses", Host: "email-smtp.eu-west-1.amazonaws.com", Order: 1, Weight: ptr(int32(9)), Chunking: true},
		v1alpha1.Upstream{Name: "postmark", Provider: "postmark", TLS: "StartTLS"},
		v1alpha1.Upstream{Name: "icloud", Provider: "icloud", TLS: "Implicit", Port: 465},
		v1alpha1.Upstream{Name: "token", Provider: "gmail", Auth: &v1alpha1.UpstreamAuth{Mechanism: "XOAUTH2", SecretRef: ref,
			OAuth2: &v1alpha1.UpstreamOAuth2{TokenURL: "https://oauth2.googleapis.com/token", Scopes: []string{"https://mail.google.com/"}}}},
		v1alpha1.Upstream{Name: "external", Host: "smtp.example.net", Port: 465, Auth: &v1alpha1.UpstreamAuth{Mechanism: "EXTERNAL", CertificateSecretRef: ref}},
		v1alpha1.Upstream{Name: "both", Host: "smtp.example.net", Port: 465, Auth: &v1alpha1.UpstreamAuth{SecretRef: ref, CertificateSecretRef: ref}})
	relay.Spec.Routes = []v1alpha1.Route{
		{Senders: []string{"<>", "app@example.com", "*.example.com"}, Recipients: []string{"example.net"}, Upstreams: []string{"ses", "postmark"}},
		{Upstreams: []string{"provider", "token", "external"}},
	}
	relay.Spec.Message.Recipients.Deny = []string{"o'brien+x@example.net", "größe@example.net", "*.example.net", "example.net"}
	if err := c.Create(t.Context(), relay, client.DryRunAll); err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, name, want string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: error is %v, want it to say %q", name, err, want)
	}
}
