package resources

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/dkim"
)

func TestWantedDKIM(t *testing.T) {
	t.Parallel()
	relay := &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Name: "relay"}}
	key := &v1alpha1.DKIMKey{Domain: "example.com", Selector: "mail", Generate: &v1alpha1.DKIMGenerate{}}
	if got, want := WantedDKIM(relay, key), (dkim.Wanted{Prefix: "mail", Algorithm: "RSA2048", Overlap: 120 * time.Hour}); got != want {
		t.Errorf("by default %+v, want %+v", got, want)
	}
	relay.Annotations = map[string]string{"mailrelay.dev/rotate-dkim": "now"}
	key.Generate = &v1alpha1.DKIMGenerate{Algorithm: "Ed25519", Rotation: v1alpha1.DKIMRotation{
		Interval: &metav1.Duration{Duration: 24 * time.Hour}, Overlap: &metav1.Duration{Duration: time.Hour}}}
	want := dkim.Wanted{Prefix: "mail", Algorithm: "Ed25519", Interval: 24 * time.Hour, Overlap: time.Hour, Request: "now"}
	if got := WantedDKIM(relay, key); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNamesOfDKIMKeys(t *testing.T) {
	t.Parallel()
	long := &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("r", 40)}}
	key := &v1alpha1.DKIMKey{Domain: strings.Repeat("d", 174) + ".com", Selector: strings.Repeat("s", 24)}
	if name := DKIMName(long, key); len(name) > 253 {
		t.Errorf("the name of the Secret has %d characters", len(name))
	}
	for file, want := range map[string]string{
		DKIMFile("mail-1", "example.com"):      "mail-1",
		DKIMFile("mail-1", "mail.example.com"): "",
		"provider.password":                    "",
	} {
		if got, ok := SelectorOf(file, "example.com"); got != want && ok {
			t.Errorf("SelectorOf(%s) = %q, want %q", file, got, want)
		}
	}
}
