// Command gomail sends one message with gopkg.in/gomail.v2, as its environment says. It chooses
// the mechanism itself.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strconv"

	"gopkg.in/gomail.v2"
)

func main() {
	if err := send(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func send() error {
	ca, err := os.ReadFile(os.Getenv("CA"))
	if err != nil {
		return err
	}
	body, err := os.ReadFile(os.Getenv("BODY"))
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(os.Getenv("PORT"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	dialer := gomail.NewDialer(os.Getenv("HOST"), port, os.Getenv("LOGIN"), os.Getenv("PASSWORD"))
	dialer.SSL = os.Getenv("TLS") == "implicit"
	dialer.TLSConfig = &tls.Config{RootCAs: roots, ServerName: os.Getenv("HOST")}

	message := gomail.NewMessage()
	message.SetHeader("From", os.Getenv("SENDER"))
	message.SetHeader("To", os.Getenv("RECIPIENT"))
	message.SetHeader("Subject", os.Getenv("SUBJECT"))
	message.SetBody("text/plain", string(body))
	return dialer.DialAndSend(message)
}
