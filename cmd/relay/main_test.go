package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// execute runs the command line and returns what it printed.
func execute(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// reference is the example of the reference, with the files that it names.
func reference(t *testing.T) (dir, path string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/reference/relay-yaml.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	dir = t.TempDir()
	certPEM, keyPEM := keyPair(t)
	users, err := execute(t, rand.Text()+"\n", "verifier", "shop", "--sender", "example.com")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"relay.yaml": example, "tls/tls.crt": certPEM, "tls/tls.key": keyPEM,
		"users/users.yaml": users, "upstream/username": "me", "upstream/password": "secret",
	} {
		write(t, filepath.Join(dir, name), content)
	}
	if err := os.Mkdir(filepath.Join(dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Join(dir, "relay.yaml")
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func keyPair(t *testing.T) (certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)
}

func TestCheckAcceptsTheExampleOfTheReference(t *testing.T) {
	t.Parallel()
	_, path := reference(t)
	out, err := execute(t, "", "check", "--config", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ok: mail.example.com\n", "listener: submissions (implicit TLS), :465\n", "listener: submission (STARTTLS), :587\n",
		"certificate: internal, until ", "upstream: provider, smtp.example.net:465, tls Implicit, login with password from ", "users: 1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("check printed\n%swithout %q", out, want)
		}
	}
	if strings.Contains(out, "secret") {
		t.Errorf("check printed a password:\n%s", out)
	}
	if strings.Contains(out, "note: ") {
		t.Errorf("check has something to say of a good configuration:\n%s", out)
	}
}

func TestCheckNotesANameThatProvidersRefuse(t *testing.T) {
	t.Parallel()
	_, path := reference(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(content), "hostname: mail.example.com", "hostname: localhost", 1))
	out, err := execute(t, "", "check", "--config", path)
	if err != nil || !strings.Contains(out, "note: hostname localhost has no domain") {
		t.Errorf("check = %v\n%s", err, out)
	}
}

func TestCheckSaysWhatLogsIn(t *testing.T) {
	t.Parallel()
	for want, auth := range map[string]config.Auth{
		"no login":                   {},
		"login with password from p": {UsernameFile: "u", PasswordFile: "p"},
		"login with tokens from https://login.test/token and certificate from c": {
			OAuth2: config.OAuth2{TokenURL: "https://login.test/token"}, Certificate: config.KeyPair{CertFile: "c", KeyFile: "k"},
		},
	} {
		if got := login(&auth); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestCheckPrintsEachProblemOnALine(t *testing.T) {
	t.Parallel()
	dir, path := reference(t)
	write(t, filepath.Join(dir, "users/users.yaml"), "version: 1\nusers:\n  - name: \"\"\n")
	if err := os.Remove(filepath.Join(dir, "upstream/password")); err != nil {
		t.Fatal(err)
	}
	_, err := execute(t, "", "check", "--config", path)
	if err == nil {
		t.Fatal("check accepts bad files")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 || !strings.Contains(err.Error(), "users.yaml:3: users[0].name: ") || !strings.Contains(err.Error(), "upstream/password: the file does not exist") {
		t.Errorf("check printed\n%v", err)
	}
}

func TestCheckRefusesADirectoryThatCanHoldNoQueue(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(spool string) error{
		"does not exist: create it": os.Remove,
		"is a file": func(spool string) error {
			return errors.Join(os.Remove(spool), os.WriteFile(spool, nil, 0o600))
		},
		// Nobody, not even root, creates files there.
		"spool: ": func(spool string) error { return errors.Join(os.Remove(spool), os.Symlink("/proc/self", spool)) },
		"its format is 99": func(spool string) error {
			return os.WriteFile(filepath.Join(spool, "format"), []byte("99\n"), 0o600)
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			dir, path := reference(t)
			if err := spoil(filepath.Join(dir, "spool")); err != nil {
				t.Fatal(err)
			}
			if out, err := execute(t, "", "check", "--config", path); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("check = %v, want an error that says %q\n%s", err, want, out)
			}
		})
	}
}

func TestCheckLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir, path := reference(t)
	if _, err := execute(t, "", "check", "--config", path); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "spool")); err != nil || len(entries) > 0 {
		t.Errorf("the directory of the queue holds %v, %v", entries, err)
	}
}

func TestCheckTellsOfAMissingUserFile(t *testing.T) {
	t.Parallel()
	dir, path := reference(t)
	if err := os.RemoveAll(filepath.Join(dir, "users")); err != nil {
		t.Fatal(err)
	}
	out, err := execute(t, "", "check", "--config", path)
	if err != nil || !strings.Contains(out, "users.yaml does not exist, so it holds no users") || !strings.Contains(out, "users: 0\n") {
		t.Errorf("check = %v\n%s", err, out)
	}
}

func TestCheckTellsWhoseTokensAreTaken(t *testing.T) {
	t.Parallel()
	dir, path := reference(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(content), "users:\n", "users:\n  tokens: {audience: relay.test, keysFile: keys.json}\n", 1))
	check := func(want string) {
		t.Helper()
		if out, err := execute(t, "", "check", "--config", path); err != nil || !strings.Contains(out, want) {
			t.Errorf("check = %v, want %q in\n%s", err, want, out)
		}
	}
	check("keys.json does not exist, so no signed token can be judged\n")
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := (&config.TokenKeys{Issuer: "https://issuer.test", Keys: []jose.JSONWebKey{{KeyID: "a", Key: public}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "keys.json"), string(keys))
	check("token issuer: https://issuer.test, 1 keys\n")
}

func TestVerifierMakesAUserFileThatChecksThePassword(t *testing.T) {
	t.Parallel()
	for name, ending := range map[string]string{"line": "\n", "no end": "", "CRLF": "\r\n"} {
		password := rand.Text()
		out, err := execute(t, password+ending, "verifier", "shop", "--sender", "example.com", "--sender", "a@example.org")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out, password) {
			t.Error("the password is in the user file")
		}
		f, err := config.ParseUserFile([]byte(out))
		if err != nil || len(f.Users) != 1 || f.Users[0].Name != "shop" || len(f.Users[0].Senders) != 2 {
			t.Fatalf("%s: user file %v\n%s", name, err, out)
		}
		if ok, err := f.Users[0].Passwords[0].Check(password); !ok || err != nil {
			t.Errorf("%s: Check = %v, %v", name, ok, err)
		}
	}
}

func TestVerifierRefusesWhatIsNoPasswordOrName(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, stdin, user, want string }{
		{"empty", "\n", "shop", "must not be empty"},
		{"nothing", "", "shop", "must not be empty"},
		{"long", strings.Repeat("x", longestPassword+1), "shop", "longer than"},
		{"no name", "password\n", "", "users[0].name"},
	} {
		if _, err := execute(t, tc.stdin, "verifier", tc.user); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want an error that says %q", tc.name, err, tc.want)
		}
	}
}

func TestServeSaysWhyItCannotStart(t *testing.T) {
	t.Parallel()
	dir, path := reference(t)
	if err := os.Remove(filepath.Join(dir, "spool")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"serve", "--config", filepath.Join(dir, "other.yaml")}, "other.yaml: the file does not exist"},
		{[]string{"serve", "--config", path}, "open the spool"},
		{[]string{"serve", "--config", path, "--log-format", "xml"}, "write json or text"},
	} {
		if _, err := execute(t, "", tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: %v, want an error that says %q", tc.args, err, tc.want)
		}
	}
}

func TestVersionAndLogFormats(t *testing.T) {
	t.Parallel()
	if out, err := execute(t, "", "version"); err != nil || out != version+"\n" {
		t.Errorf("version = %q, %v", out, err)
	}
	for format, want := range map[string]string{"json": `"msg":"hello"`, "text": "msg=hello"} {
		var out bytes.Buffer
		logger, err := newLogger(&out, format, slog.LevelInfo)
		if err != nil {
			t.Fatal(err)
		}
		logger.Info("hello")
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s log is %q, want %q", format, &out, want)
		}
	}
}
