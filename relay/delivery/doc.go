// Package delivery hands queued messages to upstreams. It keeps the order of work in
// memory and everything else in the spool: what an attempt brought is durable before the
// message is forgotten. Faults of an upstream hold its mail back as a whole; faults of a
// message or a recipient concern that one only. An upstream that asks for less mail in a
// transaction gets a pause that doubles, and the message its own.
package delivery
