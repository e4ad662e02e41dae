package message

import (
	"errors"
	"io"
	"mime"
	"net/mail"
	"strings"
)

// ErrBadFrom means that a From field is no list of addresses (RFC 5322 §3.6.2).
var ErrBadFrom = errors.New("the From header field is not a list of addresses")

// fromParser leaves encoded words alone: only addresses matter here, and an unknown
// character set in a display name must not make one unreadable.
var fromParser = mail.AddressParser{WordDecoder: &mime.WordDecoder{
	CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
}}

// From returns every address of every From field, without angle brackets; none when there
// is no From field. ErrBadFrom when one cannot be read or holds no address.
func (h *Header) From() ([]string, error) {
	var addresses []string
	for _, f := range h.fields {
		if f.name != "from" {
			continue
		}
		// Display names in legacy character sets are common and harmless.
		list, err := fromParser.ParseList(strings.ToValidUTF8(f.value(), "?"))
		if err != nil || len(list) == 0 {
			return nil, ErrBadFrom
		}
		for _, a := range list {
			addresses = append(addresses, a.Address)
		}
	}
	return addresses, nil
}
