// Package crash holds the tests that kill the relay under load, again and again, and look at
// what became of the mail it had accepted, and those of disks that are full or of no use.
package crash
