package delivery

import (
	"strings"

	"github.com/mailrelay-dev/mailrelay-operator/relay/dsn"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

// statusRequest is what the sender of a message wants to be told of its delivery (RFC 3461).
type statusRequest struct {
	// ret and envelopeID are RET and ENVID, empty for none.
	ret, envelopeID string
	// recipients have NOTIFY and ORCPT, in the order of the message's recipients; nil for none.
	recipients []recipientRequest
}

type recipientRequest struct {
	notify   spool.Notify
	original string
}

// request is what is passed on about some recipients.
func request(e *spool.Envelope, batch []int) statusRequest {
	r := statusRequest{ret: e.Return, envelopeID: e.EnvelopeID}
	for _, i := range batch {
		r.recipients = append(r.recipients, recipientRequest{e.Recipients[i].Notify, e.Recipients[i].OriginalRecipient})
	}
	return r
}

// statusOfMAIL are the parameters of MAIL for an upstream that knows them: those that the
// message came with, and no others (RFC 3461 §5.2.1).
func (t *transaction) statusOfMAIL() string {
	r := t.message.dsn
	if !t.extensions.has("DSN") {
		return ""
	}
	var line strings.Builder
	if r.ret == spool.ReturnFull || r.ret == spool.ReturnHeaders {
		line.WriteString(" RET=" + r.ret)
	}
	if r.envelopeID != "" {
		line.WriteString(" ENVID=" + dsn.Xtext(r.envelopeID))
	}
	return line.String()
}

// statusOfRCPT are those of RCPT.
func (t *transaction) statusOfRCPT(i int) string {
	if !t.extensions.has("DSN") || i >= len(t.message.dsn.recipients) {
		return ""
	}
	r := t.message.dsn.recipients[i]
	var line strings.Builder
	if r.notify.Valid() {
		line.WriteString(" NOTIFY=" + string(r.notify))
	}
	if r.original != "" {
		line.WriteString(" ORCPT=" + dsn.ORCPT(r.original, t.message.smtpUTF8))
	}
	return line.String()
}
