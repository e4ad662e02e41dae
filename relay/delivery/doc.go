// Package delivery hands queued messages to upstreams. It keeps the order of work in
// memory and everything else in the spool: what an attempt brought is durable before the
// message is forgotten.
//
// Routes hold the mail that is due, and upstreams take from them what they can bear, so that
// mail fails over the moment an upstream cannot be used, and comes back the moment it can.
// Faults of an upstream hold back what only it may take; faults of a message or a recipient
// concern that one only. An upstream that asks for less mail gets a pause and less at once.
//
// Whether an upstream can be used, and why not, is also found out without mail, by probes.
package delivery
