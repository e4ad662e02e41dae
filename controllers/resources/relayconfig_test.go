package resources

import (
	"path"
	"reflect"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// parsed is the configuration as the relay reads it.
func parsed(t *testing.T, relay *v1alpha1.MailRelay) *config.Config {
	t.Helper()
	data, err := config.Marshal(RelayConfig(relay, "cluster.local"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRelayConfigOfASmallSpec(t *testing.T) {
	t.Parallel()
	c := parsed(t, testRelay())
	if c.Hostname != "relay.mail.svc.cluster.local" {
		t.Errorf("hostname = %s", c.Hostname)
	}
	u := c.Upstreams[0]
	if u.Host != "smtp.example.net" || u.Port != 587 || u.TLS != config.TLSStartTLS || u.CAFile != "" ||
		u.Auth.UsernameFile != "/etc/mailrelay/upstreams/provider.username" || u.Auth.PasswordFile != "/etc/mailrelay/upstreams/provider.password" {
		t.Errorf("upstream = %+v", u)
	}
	if len(c.Users.Files) != UserShards || c.Users.Files[15] != "/etc/mailrelay/users/15/users.yaml" {
		t.Errorf("user files = %v", c.Users.Files)
	}
	if c.TLS.Internal.CertFile != path.Join(TLSDir, "tls.crt") || c.TLS.External.KeyFile != path.Join(ExternalDir, "tls.key") {
		t.Errorf("tls = %+v", c.TLS)
	}
	if c.Admin.Status != ":8443" || c.Admin.StatusClientCAFile != path.Join(ConfigDir, OperatorCAKey) || c.Admin.Probes != ":8080" {
		t.Errorf("admin = %+v", c.Admin)
	}
	// What spec leaves out is the relay's own default.
	if c.Queue.Lifetime != 120*time.Hour || c.Message.MaxSize != 25<<20 || c.Listeners.Submission.Disabled {
		t.Errorf("defaults: %+v %+v %+v", c.Queue, c.Message, c.Listeners)
	}
}

func TestLoginIsProbedByOnePod(t *testing.T) {
	t.Parallel()
	if c := parsed(t, testRelay()); c.Probe.LoginHost != "relay-0" {
		t.Errorf("probe = %+v", c.Probe)
	}
}

func TestRelayConfigCarriesEveryField(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	off, many, few := false, int32(500), int32(7)
	size := resource.MustParse("10Mi")
	s := &relay.Spec
	s.Listeners.Submission.Enabled = &off
	s.TLS = &v1alpha1.RelayTLS{MinVersion: "1.3"}
	s.Queue.Lifetime = &metav1.Duration{Duration: time.Hour}
	s.Queue.Retry = v1alpha1.Retry{Initial: &metav1.Duration{Duration: time.Second}, Max: &metav1.Duration{Duration: time.Minute}}
	s.Queue.Postmaster, s.Queue.BounceSender = "postmaster@example.com", "bounces@example.com"
	s.Queue.DelayNotice = &metav1.Duration{Duration: 30 * time.Minute}
	s.Message = v1alpha1.MessagePolicy{MaxSize: &size, MaxRecipients: &many, BareLF: "Refuse",
		Recipients: v1alpha1.RecipientLists{Allow: []string{"example.net"}, Deny: []string{"bob@example.net"}}}
	s.Message.MissingFrom, s.Message.ReceivedUser, s.Message.QualifyDomain = "Refuse", true, "example.com"
	s.Message.DropHeaders = []string{"X-Mailer"}
	s.Message.Rewrite = []v1alpha1.Rewrite{{Match: "*", To: "noreply@example.com"}}
	s.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s1", SecretRef: &v1alpha1.LocalSecretReference{Name: "dkim"}}}
	s.Upstreams[0].UnsignedHeaders = []string{"Date"}
	s.Logging = v1alpha1.Logging{Level: "Debug", Recipients: "Hash"}
	s.Upstreams[0].CASecretRef = &v1alpha1.LocalSecretReference{Name: "ca"}
	s.Upstreams[0].Limits = v1alpha1.UpstreamLimits{Connections: &few, MessagesPerConnection: &many, RecipientsPerMessage: &few,
		Rates: []v1alpha1.UpstreamRate{{Messages: &few, Recipients: &many, Period: &metav1.Duration{Duration: time.Second}}}}
	c := parsed(t, relay)
	for name, ok := range map[string]bool{
		"listeners":  c.Listeners.Submission.Disabled && !c.Listeners.Submissions.Disabled,
		"minVersion": c.TLS.MinVersion == "1.3",
		"queue":      c.Queue.Lifetime == time.Hour && c.Queue.RetryInitial == time.Second && c.Queue.RetryMax == time.Minute && c.Queue.Postmaster == "postmaster@example.com",
		"bounces":    c.Queue.BounceSender == "bounces@example.com" && c.Queue.DelayNotice == 30*time.Minute,
		"message":    c.Message.MaxSize == 10<<20 && c.Message.MaxRecipients == 500 && c.Message.BareLF == "Refuse",
		"recipients": slices.Equal(c.Message.Recipients.Allow, []string{"example.net"}) && slices.Equal(c.Message.Recipients.Deny, []string{"bob@example.net"}),
		"header":     c.Message.MissingFrom == "Refuse" && c.Message.ReceivedUser && c.Message.QualifyDomain == "example.com",
		"dropped":    slices.Equal(c.Message.DropHeaders, []string{"X-Mailer"}) && slices.Equal(c.Upstreams[0].UnsignedHeaders, []string{"Date"}),
		"rewrite":    slices.Equal(c.Message.Rewrite, []config.Rewrite{{Match: "*", To: "noreply@example.com"}}),
		"dkim":       slices.Equal(c.DKIM, []config.DKIMKey{{Domain: "example.com", Selector: "s1", KeyFile: "/etc/mailrelay/upstreams/s1._domainkey.example.com"}}),
		"logging":    c.Logging.Level == "Debug" && c.Logging.Recipients == "Hash",
		"ca":         c.Upstreams[0].CAFile == "/etc/mailrelay/upstreams/provider.ca.crt",
		"limits": reflect.DeepEqual(c.Upstreams[0].Limits, config.UpstreamLimits{Connections: 7, MessagesPerConnection: 500, RecipientsPerMessage: 7,
			Rates: []config.Rate{{Messages: 7, Period: time.Second}, {Recipients: 500, Period: time.Second}}}),
	} {
		if !ok {
			t.Errorf("%s is not as spec says: %+v", name, c)
		}
	}
}

// Pods restart when this hash changes, so it must not change for anything else.
func TestStartHashFollowsWhatIsReadAtStartOnly(t *testing.T) {
	t.Parallel()
	base := StartHash(parsed(t, testRelay()))
	off := false
	for _, tc := range []struct {
		name    string
		change  func(*v1alpha1.MailRelay)
		restart bool
	}{
		{"upstream", func(r *v1alpha1.MailRelay) { r.Spec.Upstreams[0].Host = "other.example.net" }, false},
		{"another upstream and a route to it", func(r *v1alpha1.MailRelay) {
			r.Spec.Upstreams = append(r.Spec.Upstreams, v1alpha1.Upstream{Name: "bulk", Provider: "postmark", Order: 1, Chunking: true})
			r.Spec.Routes = []v1alpha1.Route{{Senders: []string{"example.com"}, Upstreams: []string{"bulk"}}}
		}, false},
		{"lifetime", func(r *v1alpha1.MailRelay) { r.Spec.Queue.Lifetime = &metav1.Duration{Duration: time.Hour} }, false},
		{"DKIM key", func(r *v1alpha1.MailRelay) { r.Spec.DKIM = []v1alpha1.DKIMKey{{Domain: "example.com", Selector: "s"}} }, false},
		{"log level", func(r *v1alpha1.MailRelay) { r.Spec.Logging.Level = "Debug" }, false},
		{"the default minimum version", func(r *v1alpha1.MailRelay) { r.Spec.TLS = &v1alpha1.RelayTLS{MinVersion: "1.2"} }, false},
		{"another minimum version", func(r *v1alpha1.MailRelay) { r.Spec.TLS = &v1alpha1.RelayTLS{MinVersion: "1.3"} }, true},
		{"listener", func(r *v1alpha1.MailRelay) { r.Spec.Listeners.Submission.Enabled = &off }, true},
	} {
		relay := testRelay()
		tc.change(relay)
		if restart := StartHash(RelayConfig(relay, "cluster.local")) != base; restart != tc.restart {
			t.Errorf("%s: restart is %v, want %v", tc.name, restart, tc.restart)
		}
	}
}
