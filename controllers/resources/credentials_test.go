package resources

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestCredentialsFollowTheListeners(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for _, tc := range []struct {
		name                    string
		submissions, submission *bool
		want                    map[string]string
	}{
		{"both", nil, &yes, map[string]string{"port": "465", "tls": "implicit", "uri": "smtps://relay.mail.svc:465", "submission-port": "587"}},
		{"465 only", &yes, &no, map[string]string{"port": "465", "tls": "implicit", "uri": "smtps://relay.mail.svc:465", "submission-port": ""}},
		{"587 only", &no, nil, map[string]string{"port": "587", "tls": "starttls", "uri": "smtp://relay.mail.svc:587", "submission-port": "587"}},
	} {
		relay := testRelay()
		relay.Spec.Listeners.Submissions.Enabled, relay.Spec.Listeners.Submission.Enabled = tc.submissions, tc.submission
		user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
		secret := render[corev1.Secret](t, CredentialsSecret(relay, user, Credentials{CA: []byte("CA"), Password: []byte("secret")}))
		for key, want := range tc.want {
			if got := string(secret.Data[key]); got != want {
				t.Errorf("%s: %s = %q, want %q", tc.name, key, got, want)
			}
		}
		if secret.Namespace != "shop" || secret.Name != "app" || string(secret.Type) != v1alpha1.SecretTypeSMTP || string(secret.Data["username"]) != "app.shop" {
			t.Errorf("%s: secret = %s/%s of type %s", tc.name, secret.Namespace, secret.Name, secret.Type)
		}
		if strings.Contains(string(secret.Data["uri"]), "secret") {
			t.Errorf("%s: the URI carries the password", tc.name)
		}
	}
}

func TestCredentialsName(t *testing.T) {
	t.Parallel()
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
	if got := CredentialsName(user); got != "app" {
		t.Errorf("name = %s, want that of the user", got)
	}
	user.Spec.SecretName = "smtp"
	if got := CredentialsName(user); got != "smtp" {
		t.Errorf("name = %s, want spec.secretName", got)
	}
}
