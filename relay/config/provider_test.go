package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// upstreamOf parses an upstream with these fields.
func upstreamOf(t *testing.T, fields string) (Upstream, error) {
	t.Helper()
	c, err := Parse([]byte(strings.Replace(minimal, "    host: smtp.example.net\n    port: 465\n    tls: Implicit\n", fields, 1)))
	if err != nil {
		return Upstream{}, err
	}
	return c.Upstreams[0], nil
}

func TestProviderFillsWhatIsNotSet(t *testing.T) {
	t.Parallel()
	u, err := upstreamOf(t, "    provider: microsoft-365\n    tls: StartTLS\n")
	if err != nil {
		t.Fatal(err)
	}
	rates := []Rate{{Messages: 30, Period: time.Minute}, {Recipients: 10_000, Period: 24 * time.Hour}}
	if u.Host != "smtp.office365.com" || u.Port != 587 || u.Limits.Connections != 3 || u.Limits.MessagesPerConnection != 100 || !slices.Equal(u.Limits.Rates, rates) {
		t.Errorf("upstream = %+v", u)
	}
	u, err = upstreamOf(t, "    provider: ses\n    host: email-smtp.eu-west-1.amazonaws.com\n    tls: Implicit\n")
	if err != nil {
		t.Fatal(err)
	}
	if u.Port != 465 || u.Limits.RecipientsPerMessage != 50 || !slices.Contains(u.UnsignedHeaders, "Message-ID") || u.Limits.Rates != nil {
		t.Errorf("upstream = %+v", u)
	}
}

func TestWhatIsSetGoesBeforeTheProvider(t *testing.T) {
	t.Parallel()
	u, err := upstreamOf(t, "    provider: ses\n    host: smtp.example.net\n    port: 2465\n    tls: Implicit\n    unsignedHeaders: [Date]\n"+
		"    limits:\n      recipientsPerMessage: 5\n      rates:\n      - messages: 14\n        period: 1s\n")
	if err != nil {
		t.Fatal(err)
	}
	limits := UpstreamLimits{Connections: 8, MessagesPerConnection: 100, RecipientsPerMessage: 5, Rates: []Rate{{Messages: 14, Period: time.Second}}}
	if u.Host != "smtp.example.net" || u.Port != 2465 || !slices.Equal(u.UnsignedHeaders, []string{"Date"}) || !reflect.DeepEqual(u.Limits, limits) {
		t.Errorf("upstream = %+v", u)
	}
}

func TestMechanismOfAProviderIsForPasswords(t *testing.T) {
	t.Parallel()
	const sparkpost = "    provider: sparkpost\n    tls: StartTLS\n"
	for fields, want := range map[string]string{
		sparkpost: "",
		sparkpost + "    auth:\n      usernameFile: u\n      passwordFile: p\n":                         "LOGIN",
		sparkpost + "    auth:\n      usernameFile: u\n      passwordFile: p\n      mechanism: PLAIN\n": "PLAIN",
	} {
		u, err := upstreamOf(t, fields)
		if err != nil {
			t.Fatal(err)
		}
		if u.Auth.Mechanism != want {
			t.Errorf("mechanism = %q, want %q, of\n%s", u.Auth.Mechanism, want, fields)
		}
	}
}

func TestProviderThatDoesNotFitSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	for fields, want := range map[string]string{
		"    provider: nobody\n    tls: Implicit\n":   "write brevo, fastmail,",
		"    provider: ses\n    tls: Implicit\n":      "write yours, such as email-smtp.",
		"    provider: postmark\n    tls: Implicit\n": "Postmark does not take mail with tls Implicit: write another mode, or a port",
	} {
		if _, err := upstreamOf(t, fields); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want it to say %q, of\n%s", err, want, fields)
		}
	}
}
