package resources

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/provider"
)

func TestUpstreamAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		upstream v1alpha1.Upstream
		tls      v1alpha1.UpstreamTLSMode
		host     string
		port     int32
	}{
		{v1alpha1.Upstream{Host: "smtp.example.net", Port: 2525}, "Implicit", "smtp.example.net", 2525},
		{v1alpha1.Upstream{Host: "smtp.example.net", Port: 587, TLS: "StartTLS"}, "StartTLS", "smtp.example.net", 587},
		{v1alpha1.Upstream{Provider: "sendgrid"}, "Implicit", "smtp.sendgrid.net", 465},
		{v1alpha1.Upstream{Provider: "sendgrid", TLS: "StartTLS"}, "StartTLS", "smtp.sendgrid.net", 587},
		{v1alpha1.Upstream{Provider: "postmark"}, "StartTLS", "smtp.postmarkapp.com", 587},
		{v1alpha1.Upstream{Provider: "postmark", Host: "smtp-broadcasts.postmarkapp.com"}, "StartTLS", "smtp-broadcasts.postmarkapp.com", 587},
		{v1alpha1.Upstream{Provider: "sendgrid", Port: 587}, "StartTLS", "smtp.sendgrid.net", 587},
		{v1alpha1.Upstream{Provider: "icloud", Port: 465}, "Implicit", "smtp.mail.me.com", 465},
		{v1alpha1.Upstream{Provider: "ses", Host: "email-smtp.eu-west-1.amazonaws.com", Port: 2465}, "Implicit", "email-smtp.eu-west-1.amazonaws.com", 2465},
	} {
		u := tc.upstream
		if got := UpstreamTLS(&u); got != tc.tls {
			t.Errorf("%+v: tls = %s", u, got)
		}
		if host, port := UpstreamHost(&u), UpstreamPort(&u); host != tc.host || port != tc.port {
			t.Errorf("%+v: %s:%d", u, host, port)
		}
		// The relay comes to the same address by itself.
		relay := testRelay()
		u.Name = "provider"
		relay.Spec.Upstreams = []v1alpha1.Upstream{u}
		if got := parsed(t, relay).Upstreams[0]; got.Host != tc.host || got.Port != int(tc.port) || string(got.TLS) != string(tc.tls) {
			t.Errorf("%+v: the relay goes to %s:%d with %s", u, got.Host, got.Port, got.TLS)
		}
	}
}

func TestRelayConfigCarriesUpstreamsAndRoutes(t *testing.T) {
	t.Parallel()
	relay := testRelay()
	first := &relay.Spec.Upstreams[0]
	first.Order, first.Weight, first.Chunking = 2, ptr.To[int32](7), true
	relay.Spec.Upstreams = append(relay.Spec.Upstreams, v1alpha1.Upstream{Name: "bulk", Provider: "postmark"})
	relay.Spec.Routes = []v1alpha1.Route{
		{Senders: []string{"news.example.com", "<>"}, Recipients: []string{"*.example.net"}, Upstreams: []string{"bulk", "provider"}},
		{Upstreams: []string{"provider"}},
	}
	c := parsed(t, relay)
	if u := c.Upstreams[0]; u.Order != 2 || u.Weight != 7 || !u.Chunking {
		t.Errorf("upstream = %+v", u)
	}
	if u := c.Upstreams[1]; u.Provider != "postmark" || u.Order != 0 || u.Weight != 1 || u.Chunking {
		t.Errorf("upstream = %+v", u)
	}
	want := []config.Route{
		{Senders: []string{"news.example.com", "<>"}, Recipients: []string{"*.example.net"}, Upstreams: []string{"bulk", "provider"}},
		{Upstreams: []string{"provider"}},
	}
	if !reflect.DeepEqual(c.Routes, want) {
		t.Errorf("routes = %+v", c.Routes)
	}
}

func TestPodsShareLimits(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for _, tc := range []struct {
		name     string
		upstream v1alpha1.Upstream
		asked    int32 // pods
		there    int32
		want     config.UpstreamLimits
	}{
		{"no limits", v1alpha1.Upstream{}, 3, 3, config.UpstreamLimits{Connections: 8}},
		{"one pod", v1alpha1.Upstream{Limits: v1alpha1.UpstreamLimits{Connections: ptr.To[int32](10)}}, 1, 1, config.UpstreamLimits{Connections: 10}},
		{"no pods", v1alpha1.Upstream{Limits: v1alpha1.UpstreamLimits{Connections: ptr.To[int32](10)}}, 0, 0, config.UpstreamLimits{Connections: 10}},
		{"three pods", v1alpha1.Upstream{Limits: v1alpha1.UpstreamLimits{
			Connections: ptr.To[int32](10), Rates: []v1alpha1.UpstreamRate{{Messages: ptr.To[int32](14), Period: &metav1.Duration{Duration: time.Second}}},
		}}, 3, 1, config.UpstreamLimits{Connections: 3, Rates: []config.Rate{{Messages: 4, Period: time.Second}}}},
		{"pods that are still there", v1alpha1.Upstream{Limits: v1alpha1.UpstreamLimits{Connections: ptr.To[int32](10)}}, 1, 5, config.UpstreamLimits{Connections: 2}},
		{"more pods than connections", v1alpha1.Upstream{Limits: v1alpha1.UpstreamLimits{Connections: ptr.To[int32](2)}}, 5, 5, config.UpstreamLimits{Connections: 1}},
		{"those of a provider", v1alpha1.Upstream{Provider: "microsoft-365"}, 3, 3, config.UpstreamLimits{
			Connections: 1, Rates: []config.Rate{{Messages: 10, Period: time.Minute}, {Recipients: 3333, Period: day}}}},
		{"rates beside a provider", v1alpha1.Upstream{Provider: "microsoft-365", Limits: v1alpha1.UpstreamLimits{
			Rates: []v1alpha1.UpstreamRate{{Messages: ptr.To[int32](9)}},
		}}, 3, 3, config.UpstreamLimits{Connections: 1, Rates: []config.Rate{{Messages: 3, Period: time.Minute}}}},
	} {
		relay := testRelay()
		relay.Spec.Replicas, relay.Status.Replicas = &tc.asked, tc.there
		tc.upstream.Name = "provider"
		if tc.upstream.Provider == "" {
			tc.upstream.Host, tc.upstream.Port = "smtp.example.net", 465
		}
		relay.Spec.Upstreams = []v1alpha1.Upstream{tc.upstream}
		tc.want.MessagesPerConnection, tc.want.RecipientsPerMessage = 100, 100
		if got := parsed(t, relay).Upstreams[0].Limits; !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: limits = %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestLoginsOfTheRelay(t *testing.T) {
	t.Parallel()
	secret := &v1alpha1.LocalSecretReference{Name: "s"}
	file := func(key string) string { return "/etc/mailrelay/upstreams/provider." + key }
	pair := config.KeyPair{CertFile: file("tls.crt"), KeyFile: file("tls.key")}
	for _, tc := range []struct {
		name string
		auth v1alpha1.UpstreamAuth
		want config.Auth
	}{
		{"password", v1alpha1.UpstreamAuth{SecretRef: secret},
			config.Auth{UsernameFile: file("username"), PasswordFile: file("password")}},
		{"SCRAM", v1alpha1.UpstreamAuth{Mechanism: "SCRAM-SHA-256", SecretRef: secret},
			config.Auth{Mechanism: "SCRAM-SHA-256", UsernameFile: file("username"), PasswordFile: file("password")}},
		{"refresh token", v1alpha1.UpstreamAuth{SecretRef: secret, OAuth2: &v1alpha1.UpstreamOAuth2{TokenURL: "https://login.example/t", Scopes: []string{"mail"}}},
			config.Auth{UsernameFile: file("username"), OAuth2: config.OAuth2{TokenURL: "https://login.example/t", Scopes: []string{"mail"},
				ClientIDFile: file("client-id"), ClientSecretFile: file("client-secret"), RefreshTokenFile: file("refresh-token")}}},
		{"client credentials", v1alpha1.UpstreamAuth{Mechanism: "XOAUTH2", SecretRef: secret, OAuth2: &v1alpha1.UpstreamOAuth2{
			TokenURL: "https://login.example/t", Grant: "ClientCredentials", CASecretRef: secret}},
			config.Auth{Mechanism: "XOAUTH2", UsernameFile: file("username"), OAuth2: config.OAuth2{TokenURL: "https://login.example/t",
				ClientIDFile: file("client-id"), ClientSecretFile: file("client-secret"), CAFile: file("token-ca.crt")}}},
		{"certificate", v1alpha1.UpstreamAuth{CertificateSecretRef: secret}, config.Auth{Certificate: pair}},
		{"EXTERNAL", v1alpha1.UpstreamAuth{Mechanism: "EXTERNAL", CertificateSecretRef: secret, SecretRef: secret},
			config.Auth{Mechanism: "EXTERNAL", UsernameFile: file("username"), Certificate: pair}},
		{"certificate and password", v1alpha1.UpstreamAuth{CertificateSecretRef: secret, SecretRef: secret},
			config.Auth{UsernameFile: file("username"), PasswordFile: file("password"), Certificate: pair}},
	} {
		relay := testRelay()
		relay.Spec.Upstreams[0].Auth = &tc.auth
		if got := parsed(t, relay).Upstreams[0].Auth; !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: auth = %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// The CRD cannot read the data of providers, so it repeats them.
func TestCRDKnowsTheProviders(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../config/crd/mailrelay.dev_mailrelays.yaml")
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(content, crd); err != nil {
		t.Fatal(err)
	}
	upstream := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"].Properties["upstreams"].Items.Schema
	var names, ownHost, onlyStartTLS []string
	for _, value := range upstream.Properties["provider"].Enum {
		names = append(names, strings.Trim(string(value.Raw), "\""))
	}
	if !slices.Equal(names, provider.Names()) {
		t.Errorf("the enum is %q, want %q", names, provider.Names())
	}
	for _, name := range provider.Names() {
		switch p := provider.Lookup(name); {
		case p.StartTLS == 0:
			t.Errorf("%s does not take mail with StartTLS, which no rule of the CRD says", name)
		case p.Host == "":
			ownHost = append(ownHost, name)
		}
		if provider.Lookup(name).Implicit == 0 {
			onlyStartTLS = append(onlyStartTLS, name)
		}
	}
	for _, list := range [][]string{ownHost, onlyStartTLS} {
		want := "self.provider in ['" + strings.Join(list, "', '") + "']"
		if !slices.ContainsFunc(upstream.XValidations, func(r apiextensionsv1.ValidationRule) bool { return strings.Contains(r.Rule, want) }) {
			t.Errorf("no rule of the CRD has %s", want)
		}
	}
}
