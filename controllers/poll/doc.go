// Package poll asks relay pods for their state over mutual TLS. Pods have no token and write
// nothing to the API server, so the operator comes to them.
package poll
