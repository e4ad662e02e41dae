// Package controllers holds the loops that make a MailRelay and a RelayUser what their specs
// say. Each loop is a list of steps over one scope; a step gathers facts and writes children,
// and only the end of the loop writes status.
package controllers
