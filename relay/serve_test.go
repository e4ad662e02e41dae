package relay_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mailrelay-dev/mailrelay-operator/relay"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestMessagesOfBothPortsArriveUpstream(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	r := newSite(t, u).start()
	for _, service := range []string{"submissions", "submission"} {
		if err := r.submit(t, service, "app.shop", body("over "+service)); err != nil {
			t.Fatalf("%s: %v", service, err)
		}
		var got received
		eventually(t, service, func() (found bool) { got, found = u.find("over " + service); return found })
		if got.from != "app@example.com" || len(got.to) != 1 || got.to[0] != "bob@example.net" {
			t.Errorf("%s: envelope is %q to %q", service, got.from, got.to)
		}
		if !strings.Contains(got.content, "by "+hostname) || !strings.Contains(got.content, "Message-ID: <") {
			t.Errorf("%s: no trace or Message-ID in\n%s", service, got.content)
		}
		if want := regexp.MustCompile(`service=` + service + `\b`); !want.MatchString(r.site.log.String()) {
			t.Errorf("no %s in the log", want)
		}
	}
	eventually(t, "an empty queue", func() bool { return r.status(t).Queue.Messages == 0 })
	_, metrics := get(t, r.Metrics, "/metrics")
	for _, want := range []string{
		"mailrelay_messages_accepted_total 2", "mailrelay_queue_messages 0", "mailrelay_users 1",
		"mailrelay_certificate_expiry_timestamp_seconds{", "mailrelay_deliveries_total{", "go_goroutines",
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
}

func TestNothingWithoutTheRightPassword(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	r := newSite(t, u).start()
	for _, service := range []string{"submissions", "submission"} {
		c := r.dial(t, service)
		if err := c.Mail("app@example.com"); code(err) != 530 || !strings.Contains(err.Error(), "5.7.0") {
			t.Errorf("%s: MAIL without AUTH = %v, want 530 5.7.0", service, err)
		}
		c = r.dial(t, service)
		if err := r.login(c, "app.shop", "wrong"); code(err) != 535 || !strings.Contains(err.Error(), "5.7.8") {
			t.Errorf("%s: wrong password = %v, want 535 5.7.8", service, err)
		}
		c = r.dial(t, service)
		if err := r.login(c, "nobody", r.site.password); code(err) != 535 || !strings.Contains(err.Error(), "5.7.8") {
			t.Errorf("%s: unknown user = %v, want 535 5.7.8", service, err)
		}
	}
	if u.count() != 0 {
		t.Error("a message went out without a login")
	}
}

func TestNewUserIsLetInAndOldOneShutOutWithoutRestart(t *testing.T) {
	t.Parallel()
	r := newSite(t, newUpstream(t)).start()
	if err := r.submit(t, "submissions", "late.shop", body("early")); code(err) != 535 {
		t.Fatalf("a user who is not there yet: %v, want 535", err)
	}
	r.site.users("late.shop")
	eventually(t, "the new user", func() bool { return r.submit(t, "submission", "late.shop", body("late")) == nil })
	if err := r.submit(t, "submissions", "app.shop", body("gone")); code(err) != 535 {
		t.Errorf("a removed user: %v, want 535", err)
	}
	content, err := os.ReadFile(filepath.Join(r.site.path, "users/users.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	report := r.status(t)
	if got, want := report.Loaded[filepath.Join(r.site.path, "users")], config.DirHash(map[string][]byte{"users.yaml": content}); got != want {
		t.Errorf("the report says %s is loaded, want %s", got, want)
	}
	if report.Users != 1 || len(report.Errors) != 0 || len(report.Certificates) != 1 {
		t.Errorf("report = %+v", report)
	}
}

// served is the certificate that a client sees which asks for a name.
func (r *running) served(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	conn, err := tls.DialWithDialer(dialer, "tcp", r.Submissions.String(), &tls.Config{InsecureSkipVerify: true, ServerName: name})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func TestNewCertificateIsServedWithoutRestart(t *testing.T) {
	t.Parallel()
	site := newSite(t, newUpstream(t))
	r := site.start()
	open := r.dial(t, "submissions")
	renewed := site.ca.server(hostname)
	site.certificate("tls", renewed)
	eventually(t, "the renewed certificate", func() bool { return r.served(t, hostname).Equal(renewed.Leaf) })

	external := newAuthority(t).server("mail.example.com")
	site.certificate("external", external)
	// The directory is new, so it is found by polling.
	eventually(t, "the external certificate", func() bool { return r.served(t, "mail.example.com").Equal(external.Leaf) })
	for _, name := range []string{hostname, "", "other.example.com"} {
		if !r.served(t, name).Equal(renewed.Leaf) {
			t.Errorf("a client that asks for %q does not get the internal certificate", name)
		}
	}
	if err := r.login(open, "app.shop", site.password); err != nil {
		t.Errorf("the connection from before is broken: %v", err)
	}
	if err := send(open, body("old connection")); err != nil {
		t.Errorf("the connection from before is broken: %v", err)
	}
}

func TestQueuedMailSurvivesARestart(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	site := newSite(t, u)
	address := fmt.Sprintf("%s:%d", u.host, u.port)
	u.stop()
	r := site.start()
	const messages = 20
	for i := range messages {
		if err := r.submit(t, "submissions", "app.shop", body(fmt.Sprintf("number %d.", i))); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.status(t).Queue.Messages; got != messages {
		t.Errorf("%d messages in the queue, want %d", got, messages)
	}
	if err := r.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	r = site.start()
	if got := r.status(t).Queue.Messages; got != messages {
		t.Errorf("%d messages in the queue after the restart, want %d", got, messages)
	}
	u.serve(t, address)
	// A new login makes the relay try the upstream at once.
	site.write("upstream/username", u.username+"\n")
	for i := range messages {
		subject := fmt.Sprintf("number %d.", i)
		eventually(t, subject, func() bool { _, found := u.find(subject); return found })
	}
}

func TestRefusedRecipientBouncesToTheSender(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	u.setRefusal(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user here"})
	r := newSite(t, u).start()
	if err := r.submit(t, "submission", "app.shop", body("to nobody")); err != nil {
		t.Fatal(err)
	}
	var bounce received
	eventually(t, "the bounce", func() (found bool) { bounce, found = u.find("report-type=delivery-status"); return found })
	if bounce.from != "" || len(bounce.to) != 1 || bounce.to[0] != "app@example.com" || !strings.Contains(bounce.content, "No such user here") {
		t.Errorf("bounce from %q to %q:\n%s", bounce.from, bounce.to, bounce.content)
	}
	eventually(t, "an empty queue", func() bool { return r.status(t).Queue.Messages == 0 })
}

func TestLateUpstreamSecretReleasesTheMail(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	site := newSite(t, u)
	if err := os.Remove(filepath.Join(site.path, "upstream/password")); err != nil {
		t.Fatal(err)
	}
	r := site.start()
	if err := r.submit(t, "submissions", "app.shop", body("waiting")); err != nil {
		t.Fatal(err)
	}
	if errs := r.status(t).Errors; len(errs) != 1 || !strings.Contains(errs[0], "upstream/password: the file does not exist") {
		t.Errorf("errors = %q", errs)
	}
	site.write("upstream/password", u.password)
	eventually(t, "the message", func() bool { _, found := u.find("waiting"); return found })
	if report := r.status(t); len(report.Errors) != 0 || len(report.Upstreams) != 1 || report.Upstreams[0].LastSuccess.IsZero() {
		t.Errorf("report = %+v", report)
	}
}

func TestStopLetsAClientFinishItsMessage(t *testing.T) {
	t.Parallel()
	u := newUpstream(t)
	r := newSite(t, u).start()
	if status, _ := get(t, r.Probes, "/readyz"); status != 200 {
		t.Errorf("/readyz = %d while mail is taken", status)
	}
	idle, busy := r.dial(t, "submission"), r.dial(t, "submissions")
	if err := r.login(busy, "app.shop", r.site.password); err != nil {
		t.Fatal(err)
	}
	if err := busy.Mail("app@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := busy.Rcpt("bob@example.net"); err != nil {
		t.Fatal(err)
	}
	w, err := busy.Data()
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	if _, _, err := idle.Text.ReadResponse(421); err != nil {
		t.Errorf("the idle client got %v, want 421", err)
	}
	for name, want := range map[string]int{"/readyz": 503, "/livez": 200} {
		if status, _ := get(t, r.Probes, name); status != want {
			t.Errorf("%s = %d while stopping, want %d", name, status, want)
		}
	}
	fmt.Fprint(w, body("last one"))
	if err := w.Close(); err != nil {
		t.Errorf("the message under way was not accepted: %v", err)
	}
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("stop = %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the relay does not stop")
	}
	if _, found := u.find("last one"); !found {
		r = r.site.start()
		eventually(t, "the message after a restart", func() bool { _, found := u.find("last one"); return found })
	}
}

func TestServeSaysWhyItCannotStart(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tc := range []struct {
		name     string
		old, new string
		want     string
	}{
		{"configuration", "hostname: ", "hostnam: ", `relay.yaml:2: unknown field "hostnam"`},
		{"spool", "directory: spool", "directory: missing", "open the spool"},
		{"port", `address: 127.0.0.1:0`, "address: " + taken.Addr().String(), "listeners.submissions.address: "},
		{"admin port", `probes: 127.0.0.1:0`, "probes: " + taken.Addr().String(), "listen for probes: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			site := newSite(t, newUpstream(t))
			path := filepath.Join(site.path, "relay.yaml")
			content, err := os.ReadFile(path)
			if err != nil || !strings.Contains(string(content), tc.old) {
				t.Fatalf("%v: no %q in\n%s", err, tc.old, content)
			}
			site.write("relay.yaml", strings.Replace(string(content), tc.old, tc.new, 1))
			err = relay.Serve(context.Background(), relay.Options{ConfigFile: path, Logger: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Serve = %v\nwant it to say %q", err, tc.want)
			}
		})
	}
}
