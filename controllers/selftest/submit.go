package selftest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// The envelope. Both domains are reserved (RFC 2606 §2), should it ever get out.
const (
	sender    = "selftest@example.com"
	recipient = "sink@example.net"
)

const (
	// connectTimeout is how long the way to a ready relay may take to open.
	connectTimeout = 30 * time.Second
	// submitTimeout is how long the relay may take to answer a command or the whole message.
	submitTimeout = 30 * time.Second
)

// binding is the content of a RelayUser's Secret: all that an app knows of a relay.
type binding map[string][]byte

// way is one of the two ways into a relay.
type way struct {
	name string
	// portKey is the key of the binding with the port.
	portKey string
	dial    func(address string, config *tls.Config) (*smtp.Client, error)
}

var ways = []way{
	{"implicit TLS", "port", smtp.DialTLS},
	{"STARTTLS", "submission-port", smtp.DialStartTLS},
}

// submit hands one message over and returns the relay's answer to it.
func (b binding) submit(ctx context.Context, w way, messageID string) (answer string, err error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(b["certificates"]) {
		return "", errors.New("the Secret has no CA under the key certificates")
	}
	c, err := b.connect(ctx, w, roots)
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = c.Close() }()
	c.CommandTimeout, c.SubmissionTimeout = submitTimeout, submitTimeout
	if err := c.Auth(sasl.NewPlainClient("", string(b[resources.UsernameKey]), string(b[resources.PasswordKey]))); err != nil {
		return "", fmt.Errorf("log in: %w", err)
	}
	if answer, err = send(c, messageID); err != nil {
		return "", fmt.Errorf("send: %w", err)
	}
	// The relay has answered for the message; how the goodbye goes changes nothing.
	_ = c.Quit()
	return answer, nil
}

// connect tries again while nothing listens: Services and NetworkPolicies follow a moment after
// the relay is ready.
func (b binding) connect(ctx context.Context, w way, roots *x509.CertPool) (c *smtp.Client, err error) {
	host := string(b["host"])
	config := &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}
	waited := wait.PollUntilContextTimeout(ctx, lookAgain, connectTimeout, true, func(context.Context) (bool, error) {
		c, err = w.dial(net.JoinHostPort(host, string(b[w.portKey])), config)
		var dial *net.OpError
		return !errors.As(err, &dial) || dial.Op != "dial", nil
	})
	if err == nil && waited != nil {
		err = waited
	}
	return c, err
}

func send(c *smtp.Client, messageID string) (answer string, err error) {
	if err := c.Mail(sender, nil); err != nil {
		return "", err
	}
	if err := c.Rcpt(recipient, nil); err != nil {
		return "", err
	}
	data, err := c.Data()
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(data, message(messageID)); err != nil {
		return "", err
	}
	response, err := data.CloseWithResponse()
	if err != nil {
		return "", err
	}
	return response.StatusText, nil
}

func message(id string) string {
	return strings.Join([]string{
		"From: " + sender, "To: " + recipient, "Subject: MailRelay self-test", "Message-ID: " + id,
		"", "A test of the relay. Nobody needs to read this.", "",
	}, "\r\n")
}
