// Package served looks at what the relay's own ports show to clients: it connects as they do,
// with a handshake on the port of implicit TLS and a STARTTLS on the other, for each name that
// clients may ask for. What a relay has loaded is what it means to serve; this is what it does.
package served
