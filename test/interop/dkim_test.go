//go:build interop

package interop

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// verifier is Debian's python3-dkim with a DNS of its own.
const verifier = `
import dkim, json, sys
records = json.loads(sys.argv[1])
message = sys.stdin.buffer.read()
for i in range(len(records)):
    lookup = lambda name, timeout=5: records[name.decode().rstrip(".")].encode()
    signature = dkim.DKIM(message)
    print(signature.verify(idx=i, dnsfunc=lookup), signature.selector.decode())
`

// TestSignaturesSatisfyAnotherImplementation sends what is hardest to keep whole: 8-bit text,
// lines that are re-encoded, blanks and empty lines at the end.
func TestSignaturesSatisfyAnotherImplementation(t *testing.T) {
	s := newSite(t, "Implicit")
	records, keys := map[string]string{}, "dkim:\n"
	for selector, signer := range dkimKeys(t) {
		keys += fmt.Sprintf("  - {domain: example.com, selector: %s, keyFile: dkim/%s.pem}\n", selector, selector)
		der, err := x509.MarshalPKCS8PrivateKey(signer)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(s.dir, "dkim", selector+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
		records[selector+"._domainkey.example.com"] = dkimRecord(t, signer.Public())
	}
	write(t, s.configFile(), s.config(t)+keys)
	s.upstream.start(t)
	s.start(t)

	bodies := []string{
		"Hello\n", "\n", "blanks \t \n\n \n\n", "gr\u00fc\u00dfe, und mehr\n.\n..\n", strings.Repeat("a long line ", 200) + "\u00e9\n",
	}
	for i, body := range bodies {
		subject := fmt.Sprintf("signed %d", i)
		send := exec.Command("curl", "--silent", "--show-error", "--url", "smtps://localhost:"+port(s.smtps), "--cacert", s.caFile,
			"--user", user+":"+s.password, "--mail-from", sender, "--mail-rcpt", recipient, "--upload-file", "-")
		send.Stdin = strings.NewReader("From: Orders <" + sender + ">\nTo:  " + recipient + "\nSubject: " + subject + "\n  folded\n\n" + body)
		if out, err := send.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	waitFor(t, 30*time.Second, "all messages arrive", func() bool { return len(s.upstream.subjects(t)) == len(bodies) })
	for _, message := range s.upstream.raw(t) {
		list, err := json.Marshal(records)
		if err != nil {
			t.Fatal(err)
		}
		// The one of Debian, whose packages another one in PATH would not see.
		check := exec.Command("/usr/bin/python3", "-c", verifier, string(list))
		check.Stdin = strings.NewReader(message)
		out, err := check.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "True ed25519") || !strings.Contains(string(out), "True rsa") {
			t.Errorf("%v: %s\n%s", err, out, message)
		}
	}
}

func dkimKeys(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	_, short, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"ed25519": short, "rsa": long}
}

// dkimRecord is the TXT record of a key (RFC 6376 §3.6.1, RFC 8463 §4).
func dkimRecord(t *testing.T, public crypto.PublicKey) string {
	t.Helper()
	if key, ok := public.(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}

// raw are all messages as they arrived.
func (u *upstream) raw(t *testing.T) []string {
	t.Helper()
	var messages []string
	for _, m := range u.messages(t) {
		messages = append(messages, string(u.get(t, "message/"+m.ID+"/raw")))
	}
	return messages
}

func (u *upstream) get(t *testing.T, path string) []byte {
	t.Helper()
	response, err := http.Get("http://" + u.api + "/api/v1/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, response.Status, err)
	}
	return body
}
