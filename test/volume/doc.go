// Package volume holds the tests that fill the relay's queue, with large messages and with
// many.
package volume
