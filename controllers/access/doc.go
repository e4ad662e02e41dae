// Package access decides whether a RelayUser may use a MailRelay, and as whom it may send.
package access
