// Package frontdoor takes connections on the submission ports and hands over only
// those that are encrypted.
//
// Two services are served: submissions (port 465, TLS from the first byte, RFC 8314
// §3.3) and submission (port 587, STARTTLS, RFC 3207). TLS ends here and not in the
// SMTP server behind: [Door] is a net.Listener whose Accept yields a [*Conn] after the
// handshake, whatever the port. The server therefore cannot be asked for anything in the
// clear, and must be told so: with go-smtp that is AllowInsecureAuth, since it knows
// encryption only as *tls.Conn.
//
// There is one parser. What a client sends after the handshake reaches the server byte
// for byte; two parsers of the same bytes in a row are how messages are smuggled. A Conn
// learns how far the dialogue has come from what the server answers, and owns
//
//   - time: a deadline for every command, a minimum rate for a body, a cap on the
//     session (the server's own timeouts and line limit stay off);
//   - the end: one flush on close, nothing handled after QUIT, 421 between transactions
//     while draining or after [Conn.Leave], [Conn.Abort] for a session that cannot go on,
//     and no further byte after a BDAT, a command that ends with LF alone, or one that is
//     too long;
//   - the replies: gathered into one write each, and fixed texts and codes of go-smtp
//     replaced where the standards want others.
//
// A client in the wrong mode (TLS on 587, plaintext on 465, HTTP, a PROXY header) is
// recognised by its first bytes, sent away within a second, and named in one log line that
// says what to change. Port 465 says not one byte before TLS.
package frontdoor
