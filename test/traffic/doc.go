// Package traffic is both ends of a mail server under test: clients that submit numbered
// messages, and the upstream that takes and knows them again. Both are cheap, so that what is
// measured is the server between them.
package traffic
