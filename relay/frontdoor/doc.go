// Package frontdoor takes connections on 465 (implicit TLS) and 587 (STARTTLS) and hands
// over only those that are encrypted. Behind it stands one SMTP parser, go-smtp: what the
// client sends reaches it unaltered. A Conn owns time (deadlines, minimum rate), the end
// (QUIT, drain, abort) and the form of replies; it never looks for the end of a message.
package frontdoor
