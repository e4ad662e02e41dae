package delivery

import (
	"crypto/rand"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestPasswordNeverTravelsWithSCRAM(t *testing.T) {
	t.Parallel()
	password := rand.Text()
	srv := newServer(t, script{mode: config.TLSImplicit, keywords: []string{"AUTH PLAIN SCRAM-SHA-256"}, logins: newLogins(t, password)})
	u := srv.upstream()
	u.Username, u.Password = account, password
	mustDeliver(t, newTestPool(t, u), mail(greeting))
	for _, line := range srv.said() {
		if strings.Contains(line, password) || strings.Contains(line, encode(password)[:8]) {
			t.Errorf("%q has the password", line)
		}
	}
	// The client-final-message and the empty line that takes the server's signature.
	if said := srv.said(); said[3] != "" || !strings.HasPrefix(said[4], "MAIL") {
		t.Errorf("said %q", said)
	}
}

// RFC 7677 §3 has an example, which no part of the relay made.
func TestSCRAMIsThatOfTheStandard(t *testing.T) {
	t.Parallel()
	m, err := newSCRAM("user", "pencil")
	if err != nil {
		t.Fatal(err)
	}
	setNonce(m, "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
	if _, first, ok := m.start(); !ok || first != "n,,n=user,r=rOprNGfwEbeRWgbNEkqO" {
		t.Fatalf("first message %q", first)
	}
	final, failure := m.next(encode("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"))
	want := "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
	if failure != nil || final != want {
		t.Fatalf("final message %q, %v", final, failure)
	}
	if m.end() == nil {
		t.Error("the server is believed before it proved anything")
	}
	if _, failure := m.next(encode("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")); failure != nil || m.end() != nil {
		t.Errorf("the server's signature is refused: %v", failure)
	}
}

func TestUpstreamMustProveThatItKnowsThePassword(t *testing.T) {
	t.Parallel()
	password := rand.Text()
	tests := []struct {
		name   string
		tamper func(turn int, challenge string) string
		class  Class
		text   string
	}{
		{"wrong signature", at(2, "v="+encode(strings.Repeat("x", 32))), ClassTLS, "does not prove that it knows the password"},
		{"no signature", at(2, ""), ClassTLS, "does not prove"},
		{"refusal in the last message", at(2, "e=other-error"), ClassAuthentication, "refuses the login: other-error"},
		{"another nonce", at(1, "r=x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"), ClassConnect, "makes no sense"},
		{"too little work", at(1, "r=x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1"), ClassAuthentication, "asks for 1 iterations"},
		{"endless work", at(1, "r=x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000000000"), ClassAuthentication, "asks for 2000000000 iterations"},
		{"no message of SCRAM", at(1, "hello"), ClassConnect, "makes no sense"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLogins(t, password)
			l.tamper = test.tamper
			srv := newServer(t, script{mode: config.TLSImplicit, keywords: []string{"AUTH SCRAM-SHA-256"}, logins: l})
			u := srv.upstream()
			u.Username, u.Password = account, password
			err := mustFail(t, newTestPool(t, u), mail(greeting))
			if err.Class != test.class || err.Step != StepAUTH || !strings.Contains(err.Text, test.text) || !err.concernsUpstream() {
				t.Errorf("%s at %s: %q", err.Class, err.Step, err.Text)
			}
			if said := srv.said(); said[len(said)-1] != "*" {
				t.Errorf("said %q, want the exchange to be cancelled", said)
			}
		})
	}
}

// at replaces one challenge.
func at(turn int, challenge string) func(int, string) string {
	return func(n int, usual string) string {
		if n == turn {
			return challenge
		}
		return usual
	}
}

func TestSuccessWithoutTheServersSignatureIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"235 2.7.0 welcome", "334 !\r\n235 2.7.0 welcome"} {
		srv := newServer(t, script{mode: config.TLSImplicit, keywords: []string{"AUTH SCRAM-SHA-256"}, on: answers(map[string]string{"AUTH": reply})})
		u := srv.upstream()
		u.Username, u.Password = account, rand.Text()
		err := mustFail(t, newTestPool(t, u), mail(greeting))
		if err.Step != StepAUTH || err.Class != ClassTLS && err.Class != ClassConnect {
			t.Errorf("%+v", err)
		}
	}
}

func TestPasswordThatSCRAMCannotHashGoesByPLAIN(t *testing.T) {
	t.Parallel()
	srv := newServer(t, script{mode: config.TLSImplicit, keywords: []string{"AUTH SCRAM-SHA-256 PLAIN"}})
	u := srv.upstream()
	u.Username, u.Password = "app", "\U0001F511"+rand.Text()
	mustDeliver(t, newTestPool(t, u), mail(greeting))
	u.Auth.Mechanism = config.AuthSCRAM
	if err := mustFail(t, newTestPool(t, u), mail(greeting)); err.Class != ClassAuthentication || !strings.Contains(err.Text, "cannot be used with the credentials") {
		t.Errorf("%+v", err)
	}
}

// setNonce takes chance out of a login.
func setNonce(m *scramLogin, user, password, nonce string) {
	client, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		panic(err)
	}
	m.conversation = client.WithNonceGenerator(func() string { return nonce }).NewConversation()
}
