// Package readiness decides the conditions of a MailRelay and a RelayUser from facts: each
// condition is a list of named predicates, and the first that does not hold decides.
package readiness
