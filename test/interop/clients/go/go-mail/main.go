// Command go-mail sends one message with github.com/wneessen/go-mail, as its environment says.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"

	"github.com/wneessen/go-mail"
)

func main() {
	if err := send(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send() error {
	client, err := client()
	if err != nil {
		return err
	}
	body, err := os.ReadFile(os.Getenv("BODY"))
	if err != nil {
		return err
	}
	message := mail.NewMsg()
	if err := message.From(os.Getenv("SENDER")); err != nil {
		return err
	}
	if err := message.To(os.Getenv("RECIPIENT")); err != nil {
		return err
	}
	message.Subject(os.Getenv("SUBJECT"))
	message.SetBodyString(mail.TypeTextPlain, string(body))
	return client.DialAndSend(message)
}

func client() (*mail.Client, error) {
	ca, err := os.ReadFile(os.Getenv("CA"))
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(os.Getenv("PORT"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	host, mechanism, secret := os.Getenv("HOST"), os.Getenv("MECHANISM"), os.Getenv("PASSWORD")
	if mechanism == "XOAUTH2" {
		secret = os.Getenv("TOKEN")
	}
	options := []mail.Option{
		mail.WithPort(port), mail.WithTLSConfig(&tls.Config{RootCAs: roots, ServerName: host}), mail.WithTLSPolicy(mail.TLSMandatory),
		mail.WithSMTPAuth(mail.SMTPAuthType(mechanism)), mail.WithUsername(os.Getenv("LOGIN")), mail.WithPassword(secret),
	}
	if os.Getenv("TLS") == "implicit" {
		options = append(options, mail.WithSSL())
	}
	return mail.NewClient(host, options...)
}
