package config

import (
	"bytes"
	"crypto/rand"
	"reflect"
	"strings"
	"testing"
	"time"
)

// minimal has only what has no default.
const minimal = `version: 1
hostname: mail.example.com
tls:
  internal:
    certFile: tls/tls.crt
    keyFile: tls/tls.key
upstreams:
  - name: provider
    host: smtp.example.net
    port: 465
    tls: Implicit
`

func TestParseFillsDefaults(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Version:  1,
		Hostname: "mail.example.com",
		Listeners: Listeners{
			Submissions: Listener{Address: ":465"}, Submission: Listener{Address: ":587"},
			Silence: 5 * time.Second, MaxConnections: 12000, MaxConnectionsPerAddress: 2000,
		},
		TLS: TLS{MinVersion: "1.2", Internal: KeyPair{CertFile: "tls/tls.crt", KeyFile: "tls/tls.key"}},
		Upstreams: []Upstream{{
			Name: "provider", Host: "smtp.example.net", Port: 465, TLS: TLSImplicit, Weight: 1,
			Limits: UpstreamLimits{Connections: 8, MessagesPerConnection: 100, RecipientsPerMessage: 100},
		}},
		Queue: Queue{
			Directory: "/var/spool/mailrelay", Lifetime: 120 * time.Hour, RetryInitial: time.Minute,
			RetryMax: 30 * time.Minute, SenderHold: 24 * time.Hour, LowSpace: 64 << 20,
			DelayNotice: 4 * time.Hour, DeadLetterRetention: 336 * time.Hour,
		},
		Message: Message{MaxSize: 25 << 20, MaxRecipients: 100, BareLF: "Normalize", MissingFrom: "Add"},
		Probe:   Probe{Interval: 5 * time.Minute},
		Logging: Logging{Level: "Info", Recipients: "Full"},
		Admin:   Admin{Probes: ":8080", Metrics: ":9090", Status: "off"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse =\n%+v\nwant\n%+v", got, want)
	}
}

func TestParseStatusPortIsOnWithItsCA(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte(minimal + "admin:\n  statusClientCAFile: ca.crt\n  metrics: off\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got.Admin.Status != ":8443" || got.Admin.Metrics != Off {
		t.Errorf("admin = %+v; want status on :8443 and metrics off", got.Admin)
	}
}

func TestParseSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, old, new string
		want           string
	}{
		{"port", "port: 465", "port: 70000", "line 10: upstreams[0].port: 70000 is not a port: write 1 to 65535"},
		{"typo", "hostname:", "hostnme:", `line 2: unknown field "hostnme": did you mean "hostname"?`},
		{"unknown field", "port: 465", "port: 465\n    password: hunter2", `line 11: upstreams[0]: unknown field "password": the fields here are auth, caFile,`},
		{"duplicate", "port: 465", "port: 465\n    port: 587", "line 11: upstreams[0].port: is already set in line 10"},
		{"word for a number", "port: 465", "port: smtps", "line 10: upstreams[0].port: must be a whole number"},
		{"list for a value", "port: 465", "port: [465]", "upstreams[0].port: must be a single value"},
		{"value for a mapping", "tls:\n  internal:\n    certFile: tls/tls.crt\n    keyFile: tls/tls.key", "tls: on", "line 3: tls: must be a mapping"},
		{"mapping for a list", "  - name: provider\n    host", "    name: provider\n    host", "line 8: upstreams: must be a list"},
		{"alias", "version: 1", "version: &one 1", "line 1: version: anchors and aliases are not supported"},
		{"second document", "    tls: Implicit\n", "    tls: Implicit\n---\nversion: 1\n", "second YAML document"},
		{"not YAML", "version: 1", "version: [", "not valid YAML"},
		{"version missing", "version: 1\n", "", `version: missing: write "version: 1"`},
		{"version unknown", "version: 1", "version: 2", "line 1: version: 2 is not known: this relay reads version 1"},
		{"hostname missing", "hostname: mail.example.com\n", "", "hostname: missing"},
		{"hostname", "mail.example.com", "mail_example", `line 2: hostname: "mail_example" is not a host name`},
		{"hostname beyond ASCII", "mail.example.com", "mail.King.example", "is not a host name"},
		{"key file missing", "    keyFile: tls/tls.key\n", "", "line 4: tls.internal.keyFile: missing"},
		{"mode", "tls: Implicit", "tls: SSL", `upstreams[0].tls: "SSL" is not possible: write Implicit, StartTLS or None`},
		{"mode missing", "    tls: Implicit\n", "", "upstreams[0].tls: missing: write Implicit, StartTLS or None"},
		{"plaintext", "tls: Implicit", "tls: None", "upstreams[0].plaintextAcknowledgement: tls is None: write \"mail and credentials travel unencrypted\""},
		{"half a login", "tls: Implicit", "tls: Implicit\n    auth: {usernameFile: u}", "upstreams[0].auth.passwordFile: missing"},
		{"mechanism", "tls: Implicit", "tls: Implicit\n    auth: {mechanism: CRAM-MD5, usernameFile: u, passwordFile: p}", "upstreams[0].auth.mechanism: \"CRAM-MD5\" is not possible"},
		{"name", "name: provider", "name: My Provider", "upstreams[0].name:"},
		{"host", "smtp.example.net", "smtps://smtp.example.net", "upstreams[0].host:"},
		{"two of a name", "tls: Implicit\n", "tls: Implicit\n  - {name: provider, host: h, port: 1, tls: StartTLS}\n", `line 12: upstreams[1].name: "provider" is the name of two`},
		{"negative limit", "tls: Implicit", "tls: Implicit\n    limits: {connections: -1}", "upstreams[0].limits.connections: must be more than 0"},
		{"no upstream", "upstreams:\n  - name: provider\n    host: smtp.example.net\n    port: 465\n    tls: Implicit\n", "", "upstreams: missing"},
		{"duration", "version: 1", "version: 1\nqueue: {lifetime: 5d}", "line 2: queue.lifetime: not a duration: write a number and a unit"},
		{"duration without a unit", "version: 1", "version: 1\nqueue: {retryMax: 30}", "queue.retryMax: not a duration"},
		{"retry", "version: 1", "version: 1\nqueue: {retryMax: 30s}", "queue.retryMax: 30s is shorter than retryInitial, 1m0s"},
		{"low space", "version: 1", "version: 1\nqueue: {lowSpace: 64}", "queue.lowSpace: 64 bytes cannot hold"},
		{"postmaster", "version: 1", "version: 1\nqueue: {postmaster: root}", "queue.postmaster:"},
		{"bounce sender", "version: 1", "version: 1\nqueue: {postmaster: p@example.com, bounceSender: root}", "queue.bounceSender: \"root\" is not an address"},
		{"bounce sender alone", "version: 1", "version: 1\nqueue: {bounceSender: p@example.com}", "set queue.postmaster too"},
		{"delay notice", "version: 1", "version: 1\nqueue: {delayNotice: -1h}", "queue.delayNotice: must be more than 0"},
		{"both listeners", "version: 1", "version: 1\nlisteners: {submission: {disabled: true}, submissions: {disabled: true}}", "both listeners are disabled"},
		{"address", "version: 1", "version: 1\nlisteners: {submission: {address: \"587\"}}", `listeners.submission.address: "587" is not an address to listen on`},
		{"truth", "version: 1", "version: 1\nlisteners: {submission: {disabled: maybe}}", "listeners.submission.disabled: must be true or false"},
		{"size", "version: 1", "version: 1\nmessage: {maxSize: 12}", "message.maxSize: 12 bytes is too small"},
		{"bare LF", "version: 1", "version: 1\nmessage: {bareLF: accept}", `message.bareLF: "accept" is not possible: write Normalize or Refuse`},
		{"missing From", "version: 1", "version: 1\nmessage: {missingFrom: Guess}", `message.missingFrom: "Guess" is not possible: write Add or Refuse`},
		{"dropped name", "version: 1", "version: 1\nmessage: {dropHeaders: [\"X-A:\"]}", `message.dropHeaders[0]: "X-A:" is not the name of a header field`},
		{"dropped From", "version: 1", "version: 1\nmessage: {dropHeaders: [X-A, from]}", "message.dropHeaders[1]: from cannot be dropped"},
		{"qualifying name", "version: 1", "version: 1\nmessage: {qualifyDomain: example}", `message.qualifyDomain: "example" is not a domain`},
		{"rewriting nothing", "version: 1", "version: 1\nmessage: {rewrite: [{match: \"a b\", to: example.com}]}", `message.rewrite[0].match: "a b" matches no sender`},
		{"rewriting to nothing", "version: 1", "version: 1\nmessage: {rewrite: [{match: \"*\", to: \"*.example.com\"}]}", `message.rewrite[0].to: "*.example.com" is not an address or domain`},
		{"level", "version: 1", "version: 1\nlogging: {level: trace}", `logging.level: "trace" is not possible: write Debug, Info, Warn or Error`},
		{"probe interval", "version: 1", "version: 1\nprobe: {interval: 1s}", "probe.interval: 1s is too often, upstreams would take it for an attack: write at least 10s"},
		{"login host", "version: 1", "version: 1\nprobe: {loginHost: \"here:465\"}", `probe.loginHost: "here:465" is not a host name: write what "hostname" prints`},
		{"status without a CA", "version: 1", "version: 1\nadmin: {status: \":8443\"}", "admin.statusClientCAFile: missing"},
		{"half a key pair", "  internal:", "  external: {certFile: x}\n  internal:", "line 4: tls.external: certFile and keyFile go together"},
		{"user file twice", "version: 1", "version: 1\nusers: {files: [a, a]}", "users.files[1]: a is listed twice"},
		{"minimum version", "  internal:", "  minVersion: 1.1\n  internal:", `tls.minVersion: "1.1" is not possible: write 1.2 or 1.3`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(minimal, tc.old, tc.new, 1)
			if text == minimal {
				t.Fatal("the test changes nothing")
			}
			_, err := Parse([]byte(text))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Parse = %v\nwant it to say %q", err, tc.want)
			}
			for _, leak := range []string{"config.", "hunter2", "struct", "int64"} {
				if err != nil && strings.Contains(err.Error(), leak) {
					t.Errorf("Parse = %v: must not hold %q", err, leak)
				}
			}
		})
	}
}

func TestParseReportsAllProblemsByLine(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("mail.example.com", "a_b", "465", "0", "Implicit", "tls").Replace(minimal)
	_, err := Parse([]byte(text))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || !strings.HasPrefix(lines[0], "line 2: hostname") ||
		!strings.HasPrefix(lines[1], "line 10: upstreams[0].port") || !strings.HasPrefix(lines[2], "line 11: upstreams[0].tls") {
		t.Errorf("Parse gave\n%v\nwant hostname, port and tls in this order", err)
	}
}

func TestParseEmptyFileNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "# nothing\n", "---\n", "null"} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), "hostname: missing") {
			t.Errorf("Parse(%q) = %v; want the missing fields", text, err)
		}
	}
}

func TestMarshalRoundTrip(t *testing.T) {
	t.Parallel()
	want, err := Parse([]byte(minimal + "queue: {directory: spool, lifetime: 36h30m}\nusers: {files: [b, a]}\nadmin: {probes: off}\n"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(data)
	if err != nil {
		t.Fatalf("Parse of what Marshal wrote: %v\n%s", err, data)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("round trip gave\n%+v\nwant\n%+v", got, want)
	}
	again, err := Marshal(got)
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("Marshal gave other bytes the second time: %v", err)
	}
}

func TestMarshalLeavesOutWhatIsZero(t *testing.T) {
	t.Parallel()
	c := &Config{
		Version: Version, Hostname: "mail.example.com",
		TLS:       TLS{Internal: KeyPair{CertFile: "tls/tls.crt", KeyFile: "tls/tls.key"}},
		Upstreams: []Upstream{{Name: "provider", Host: "smtp.example.net", Port: 465, TLS: TLSImplicit}},
	}
	got, err := Marshal(c)
	if err != nil || string(got) != minimal {
		t.Errorf("Marshal = %v\n%s\nwant\n%s", err, got, minimal)
	}
	c.Hostname = ""
	if _, err := Marshal(c); err == nil {
		t.Error("Marshal wrote what Parse refuses")
	}
}

func TestUserFileRoundTrip(t *testing.T) {
	t.Parallel()
	v, err := NewVerifier(rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	want := &UserFile{Version: 1, Users: []User{
		{Name: "app.shop", Passwords: []Verifier{v}, Senders: []string{"shop@example.com", "example.org", "*", "<>"}},
		{Name: "quiet.shop", MaxSize: 1 << 20, MaxRecipients: 5,
			Recipients: []Recipients{{Allow: []string{"example.net"}}, {Deny: []string{"*.example.org"}}}},
		{Name: "fast.shop", OnExceed: "Refuse", MaxQueued: 7,
			Rates: []Rate{{Messages: 14, Period: time.Minute}, {Recipients: 1000, Period: 24 * time.Hour}}},
		{Name: "both.shop", Passwords: []Verifier{v}, Certificates: []string{"URI:mailrelay://shop/both/sha256:" + strings.Repeat("ab", 32), "CN:both"}, Require: RequireAll},
		{Name: "token.shop", Tokens: []string{strings.Repeat("0a", 32)}, Require: RequireAny},
	}}
	data, err := MarshalUserFile(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseUserFile(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("round trip gave %v\n%+v\nwant\n%+v", err, got, want)
	}
}

func TestUserWithARateHasAQuota(t *testing.T) {
	t.Parallel()
	f, err := ParseUserFile([]byte("version: 1\nusers:\n  - name: a\n    rates: [{messages: 1, period: 1s}]\n  - name: b\n"))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := f.Users[0], f.Users[1]; a.OnExceed != "Pace" || a.MaxQueued != 10_000 || b.OnExceed != "" || b.MaxQueued != 0 {
		t.Errorf("with a rate %+v, without %+v", a, b)
	}
}

func TestParseUserFileSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"no version", "users: []", "version: missing"},
		{"no name", "version: 1\nusers:\n  - senders: [a@example.com]", "line 3: users[0].name:"},
		{"control character", "version: 1\nusers:\n  - name: \"a\\0b\"", "users[0].name:"},
		{"twice", "version: 1\nusers:\n  - name: a\n  - name: a", `line 4: users[1].name: is already written above`},
		{"certificate of two", "version: 1\nusers:\n  - name: a\n    certificates: [CN:a]\n  - name: b\n    certificates: [CN:a]", "line 6: users[1].certificates: is already written above"},
		{"certificate without kind", "version: 1\nusers:\n  - name: a\n    certificates: [mailrelay://shop/app]", "users[0].certificates[0]: \"mailrelay://shop/app\" is not a name with its kind"},
		{"key of a certificate in upper case", "version: 1\nusers:\n  - name: a\n    certificates: ['URI:mailrelay://a/b/SHA256:" + strings.Repeat("ab", 32) + "']", "users[0].certificates[0]: \"URI:mailrelay://a/b/SHA256:"},
		{"key of a certificate that is no hash", "version: 1\nusers:\n  - name: a\n    certificates: [URI:mailrelay://a/b/sha256:zz]", "ends in no name of a key: write sha256:"},
		{"hash of a key in upper case", "version: 1\nusers:\n  - name: a\n    certificates: [URI:mailrelay://a/b/sha256:" + strings.Repeat("AB", 32) + "]", "ends in no name of a key"},
		{"end of another certificate", "version: 1\nusers:\n  - name: a\n    certificateEnds: [{name: 'CN:b', until: 2026-03-01T12:00:00Z}]", "users[0].certificateEnds[0].name: \"CN:b\" is not among certificates"},
		{"end that is no time", "version: 1\nusers:\n  - name: a\n    certificates: ['CN:b']\n    certificateEnds: [{name: 'CN:b', until: tomorrow}]", "2026-03-01T12:00:00Z"},
		{"certificate without name", "version: 1\nusers:\n  - name: a\n    certificates: ['CN:']", "users[0].certificates[0]:"},
		{"no subject", "version: 1\nusers:\n  - name: a\n    subjects: [\"\"]", "users[0].subjects[0]: \"\" is no subject"},
		{"one factor of two", "version: 1\nusers:\n  - name: a\n    subjects: [s]\n    require: All", "users[0].require: All wants two factors"},
		{"token in the clear", "version: 1\nusers:\n  - name: a\n    tokens: [hunter2]", "users[0].tokens[0]: not the SHA-256 of a token"},
		{"no such requirement", "version: 1\nusers:\n  - name: a\n    require: Both", "users[0].require: \"Both\" is not possible: write Any or All"},
		{"two factors of one", "version: 1\nusers:\n  - name: a\n    certificates: [CN:a]\n    require: All", "users[0].require: All wants two factors"},
		{"two factors of none", "version: 1\nusers:\n  - name: a\n    require: All", "users[0].require: All wants two factors"},
		{"mailbox named star", "version: 1\nusers:\n  - name: a\n    senders: [\"*@example.com\"]", "users[0].senders[0]:"},
		{"sender", "version: 1\nusers:\n  - name: a\n    senders: [\"<a@example.com>\"]", "users[0].senders[0]:"},
		{"verifier", "version: 1\nusers:\n  - name: a\n    passwords:\n      - iterations: 4096\n        salt: hunter2!", "line 5: users[0].passwords[0]: verifier: salt is not base64"},
		{"recipient", "version: 1\nusers:\n  - name: a\n    recipients: [{deny: [\"*\"]}]", "users[0].recipients[0].deny[0]: \"*\" is no recipient"},
		{"rate of nothing", "version: 1\nusers:\n  - name: a\n    rates:\n      - period: 1m", "line 5: users[0].rates[0]: limits nothing"},
		{"negative rate", "version: 1\nusers:\n  - name: a\n    rates: [{messages: -1, recipients: 2, period: 1m}]", "users[0].rates[0]: limits nothing"},
		{"rate without period", "version: 1\nusers:\n  - name: a\n    rates: [{messages: 1}]", "users[0].rates[0].period: 0s is not from 1s to 2400h"},
		{"long period", "version: 1\nusers:\n  - name: a\n    rates: [{messages: 1, period: 2401h}]", "users[0].rates[0].period: 2401h0m0s"},
		{"unknown reaction", "version: 1\nusers:\n  - name: a\n    onExceed: Drop", "users[0].onExceed:"},
		{"negative size", "version: 1\nusers:\n  - name: a\n    maxSize: -1", "users[0].maxSize: must be more than 0"},
		{"too many passwords", "version: 1\nusers:\n  - name: a\n    passwords: [{}, {}, {}]", "line 4: users[0].passwords: has 3 passwords: leave the old one and the new one"},
		{"a plain password", "version: 1\nusers:\n  - name: a\n    passwords: [hunter2]", "users[0].passwords[0]: must be a mapping"},
	} {
		_, err := ParseUserFile([]byte(tc.text))
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: ParseUserFile = %v\nwant it to say %q, and no secret", tc.name, err, tc.want)
		}
	}
}

// FuzzParse looks for crashes, for endless work, and for a configuration that is accepted
// but not the same after it was written and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("version: 1\nusers:\n  - name: a\n    senders: ['*']\n"))
	f.Add([]byte("a: &a [*a]\n? [x]\n: y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = ParseUserFile(data)
		c, err := Parse(data)
		if err != nil {
			return
		}
		written, err := Marshal(c)
		if err != nil {
			t.Fatalf("Marshal refuses what Parse took: %v", err)
		}
		if again, err := Parse(written); err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("round trip: %v\n%+v\n%+v", err, c, again)
		}
	})
}
