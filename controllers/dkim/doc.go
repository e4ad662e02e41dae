// Package dkim keeps the DKIM keys that the operator makes: what is published of them, which of
// them signs, and when one takes the place of another.
package dkim
