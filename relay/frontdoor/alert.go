package frontdoor

import (
	"crypto/tls"
	"net"
	"strings"
)

// alertRecord is the length of a TLS record with an alert (RFC 8446 §5.1, §6).
const alertRecord = 7

// alertWatch remembers the end of what a client sent. OpenSSL refuses a certificate of TLS 1.3
// with an alert that is not encrypted; crypto/tls cannot read it, and calls it a bad record MAC.
type alertWatch struct {
	*peeked
	last [alertRecord]byte
}

func (w *alertWatch) Read(p []byte) (int, error) {
	n, err := w.peeked.Read(p)
	if n < alertRecord {
		copy(w.last[:], append(w.last[n:], p[:n]...))
	} else {
		copy(w.last[:], p[n-alertRecord:n])
	}
	return n, err
}

// explain returns what the client said of a failed handshake, or err.
func (w *alertWatch) explain(err error) error {
	const alert, fatal = 21, 2
	if strings.Contains(err.Error(), "bad record MAC") && w.last[0] == alert && w.last[4] == 2 && w.last[5] == fatal {
		return &net.OpError{Op: "remote error", Err: tls.AlertError(w.last[6])}
	}
	return err
}
