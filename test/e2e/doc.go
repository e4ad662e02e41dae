// Package e2e shows the promises of the operator and the relay on a real cluster, with real
// mail clients in front and Mailpit, as the mail provider, behind. "make e2e" runs it.
package e2e
