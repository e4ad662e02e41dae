// Package interop runs the relay's binary between real clients and a real upstream:
// swaks, msmtp, curl and Python in front, Mailpit behind. "make interop" runs it.
package interop
