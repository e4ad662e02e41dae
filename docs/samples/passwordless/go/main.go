// Command passwordless sends a message through a relay of MailRelay, on port 465. It has no
// password: it logs in with the token that Kubernetes gives its pod.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Where app.yaml mounts the Secret of the RelayUser, and the token.
const (
	bindingDir = "/bindings/mail"
	tokenFile  = "/var/run/secrets/mailrelay/token"
)

// How long to wait for the relay, and for its reply to the whole message (RFC 5321 §4.5.3.2.6): an
// app that does not wait for that sends the message twice.
const (
	timeout    = time.Minute
	endTimeout = 10 * time.Minute
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: passwordless FROM TO SUBJECT")
	}
	m, err := compose(os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	for pause := time.Second; ; pause *= 2 {
		err := send(m)
		if err == nil {
			return
		}
		if !temporary(err) || pause > time.Minute {
			log.Fatal(err)
		}
		log.Printf("trying again in %s: %v", pause, err)
		time.Sleep(pause)
	}
}

// message is one with its envelope.
type message struct{ from, to, text string }

// compose makes the message, once: one that arrives twice after all is known by its Message-ID.
func compose(from, to, subject string) (message, error) {
	sender, err := mail.ParseAddress(from)
	if err != nil {
		return message{}, fmt.Errorf("sender %q: %w", from, err)
	}
	recipient, err := mail.ParseAddress(to)
	if err != nil {
		return message{}, fmt.Errorf("recipient %q: %w", to, err)
	}
	_, domain, _ := strings.Cut(sender.Address, "@")
	text := fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n\r\nHello.\r\n",
		// Encoded, what is not ASCII can travel, and a line end begins no field of its own.
		sender, recipient, mime.QEncoding.Encode("utf-8", subject), time.Now().Format(time.RFC1123Z), rand.Text(), domain)
	return message{sender.Address, recipient.Address, text}, nil
}

// temporary reports whether to try again: a reply below 500 says so, and a connection can fail.
func temporary(err error) bool {
	if reply := (*textproto.Error)(nil); errors.As(err, &reply) {
		return reply.Code < 500
	}
	failed := (*net.OpError)(nil)
	return errors.As(err, &failed) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// send reads all it needs anew: Kubernetes replaces the token, the relay's owner the rest.
func send(m message) error {
	var host, port, user, authorities, token string
	for key, value := range map[string]*string{"host": &host, "port": &port, "username": &user, "certificates": &authorities} {
		if err := read(filepath.Join(bindingDir, key), value); err != nil {
			return err
		}
	}
	if err := read(tokenFile, &token); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(authorities)) {
		return errors.New("the Secret has no CA certificate")
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	dialer := &tls.Dialer{Config: &tls.Config{ServerName: host, RootCAs: roots}}
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	client, err := smtp.NewClient(connection, host)
	if err != nil {
		return err
	}
	if err := client.Auth(bearer{user, token}); err != nil {
		return fmt.Errorf("log in as %s: %w", user, err)
	}
	return submit(connection, client, m)
}

func read(file string, into *string) error {
	content, err := os.ReadFile(file)
	*into = strings.TrimSpace(string(content))
	return err
}

func submit(connection net.Conn, client *smtp.Client, m message) error {
	if err := client.Mail(m.from); err != nil {
		return err
	}
	if err := client.Rcpt(m.to); err != nil {
		return err
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(body, m.text); err != nil {
		return err
	}
	if err := connection.SetDeadline(time.Now().Add(endTimeout)); err != nil {
		return err
	}
	// The relay has the message once this succeeds; nothing after it matters.
	if err := body.Close(); err != nil {
		return err
	}
	_ = client.Quit()
	return nil
}

// bearer is SASL OAUTHBEARER (RFC 7628).
type bearer struct{ user, token string }

// Start implements smtp.Auth.
func (b bearer) Start(server *smtp.ServerInfo) (mechanism string, response []byte, err error) {
	if !server.TLS {
		return "", nil, errors.New("a token must not travel unencrypted")
	}
	return "OAUTHBEARER", fmt.Appendf(nil, "n,a=%s,\x01auth=Bearer %s\x01\x01", b.user, b.token), nil
}

// Next implements smtp.Auth.
func (bearer) Next(_ []byte, more bool) ([]byte, error) {
	if more { // It says as JSON why the token is refused; this answer brings the reply.
		return []byte{1}, nil
	}
	return nil, nil
}
