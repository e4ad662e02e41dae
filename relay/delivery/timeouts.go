package delivery

import "time"

// Timeouts bound each step of a session with an upstream (RFC 5321 §4.5.3.2). A step that
// takes longer ends the connection.
type Timeouts struct {
	// Connect is for the TCP connection, name resolution included.
	Connect time.Duration
	// TLS is for a TLS handshake.
	TLS time.Duration
	// Greeting is for the 220 of a new connection.
	Greeting time.Duration
	// Command is for the reply to any command but DATA and QUIT.
	Command time.Duration
	// DataStart is for the reply to DATA.
	DataStart time.Duration
	// DataBlock is for the upstream to take one block of content.
	DataBlock time.Duration
	// DataEnd is for the reply to the end of data.
	DataEnd time.Duration
	// Quit is for the reply to QUIT, which nothing depends on.
	Quit time.Duration
}

// DefaultTimeouts are those that RFC 5321 §4.5.3.2 asks for, and for the steps that it does
// not know half a minute.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		Connect:   30 * time.Second,
		TLS:       30 * time.Second,
		Greeting:  5 * time.Minute,
		Command:   5 * time.Minute,
		DataStart: 2 * time.Minute,
		DataBlock: 3 * time.Minute,
		DataEnd:   10 * time.Minute,
		Quit:      2 * time.Second,
	}
}
