package message

import "strings"

// MaxReceived is how many Received fields a message may have before it is taken to be
// in a loop (RFC 5321 §6.3).
const MaxReceived = 50

// MaxPasses is how many times a message may have been through one relay. A few are honest: an
// app that forwards what it gets back submits a message again with the header it had.
const MaxPasses = 3

// Passes counts how many times the message was through the relay of that host name: by the
// Received fields that have its name and a queue id of its form.
func (h *Header) Passes(hostname string) int {
	n := 0
	for _, f := range h.fields {
		if f.name == "received" && isOurs(f.value(), hostname) {
			n++
		}
	}
	return n
}

// isOurs reports whether Submission.received wrote the value.
func isOurs(received, hostname string) bool {
	clauses, _, _ := strings.Cut(received, ";")
	words := strings.Fields(clauses)
	by, id := false, false
	for i := 1; i < len(words); i++ {
		switch words[i-1] {
		case "by":
			by = by || strings.EqualFold(words[i], hostname)
		case "id":
			id = id || isQueueID(words[i])
		}
	}
	return by && id
}

// queueIDLength is that of the ids of the spool.
const queueIDLength = 20

func isQueueID(s string) bool {
	return len(s) == queueIDLength && strings.Trim(s, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}
