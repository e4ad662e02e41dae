// Package crash holds the tests that kill the relay under load, again and again, and look at
// what became of the mail it had accepted.
package crash
