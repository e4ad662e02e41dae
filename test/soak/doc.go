// Package soak runs the relay for a long time between clients and an upstream that is not well.
package soak
