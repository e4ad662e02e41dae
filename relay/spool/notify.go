package spool

import (
	"slices"
	"strings"
)

// What Envelope.Return can be.
const (
	ReturnFull    = "FULL"
	ReturnHeaders = "HDRS"
)

// Notify is the NOTIFY of a recipient (RFC 3461 §4.1): NotifyNever, or some of the others in
// upper case with commas between.
type Notify string

// The words of a Notify.
const (
	NotifyNever   Notify = "NEVER"
	NotifySuccess Notify = "SUCCESS"
	NotifyFailure Notify = "FAILURE"
	NotifyDelay   Notify = "DELAY"
)

// Wants reports whether the sender wants to hear of a success, a failure or a delay. One who
// did not say hears of failures and delays.
func (n Notify) Wants(event Notify) bool {
	if n == "" {
		return event == NotifyFailure || event == NotifyDelay
	}
	return slices.Contains(strings.Split(string(n), ","), string(event))
}

// Valid reports whether n is a value of NOTIFY.
func (n Notify) Valid() bool {
	words := strings.Split(string(n), ",")
	for i, word := range words {
		switch Notify(word) {
		case NotifySuccess, NotifyFailure, NotifyDelay:
		case NotifyNever:
			return len(words) == 1
		default:
			return false
		}
		if slices.Contains(words[:i], word) {
			return false
		}
	}
	return true
}
