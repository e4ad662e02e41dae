// Package resources describes the child objects of a MailRelay and a RelayUser: one file for
// each kind, pure functions that return complete apply configurations.
package resources
