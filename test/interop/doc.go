// Package interop runs the relay's binary between real clients and a real upstream:
// the mail clients of clients/ in front, Mailpit behind. "make interop" runs it.
package interop
