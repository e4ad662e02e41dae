//go:build interop

package interop

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/smtp"
)

// sendWithGo is the client of Go's standard library, which leaves implicit TLS to its caller.
func (a *attempt) sendWithGo(to, ca, password string) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(ca))
	config := &tls.Config{RootCAs: pool, ServerName: "localhost"}
	client, err := a.dialWithGo(to, config)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Auth(smtp.PlainAuth("", a.user, password, "localhost")); err != nil {
		return err
	}
	if err := client.Mail(a.sender()); err != nil {
		return err
	}
	if err := client.Rcpt(recipient); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(a.message())); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return client.Quit()
}

func (a *attempt) dialWithGo(to string, config *tls.Config) (*smtp.Client, error) {
	address := net.JoinHostPort("localhost", to)
	if a.implicit {
		conn, err := tls.Dial("tcp", address, config)
		if err != nil {
			return nil, err
		}
		return smtp.NewClient(conn, "localhost")
	}
	client, err := smtp.Dial(address)
	if err != nil {
		return nil, err
	}
	return client, client.StartTLS(config)
}
