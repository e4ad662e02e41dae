package message

import (
	"errors"
	"io"
	"mime"
	"net/mail"
	"strings"
)

// ErrBadAddresses means that a field is no list of addresses (RFC 5322 §3.4).
var ErrBadAddresses = errors.New("is not a list of addresses")

// addressParser leaves encoded words alone: only addresses matter here, and an unknown
// character set in a display name must not make one unreadable.
var addressParser = mail.AddressParser{WordDecoder: &mime.WordDecoder{
	CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil },
}}

// Addresses returns every address of every field of that name, without angle brackets and
// quotes; none when there is no such field. ErrBadAddresses when one cannot be read or holds
// no address.
func (h *Header) Addresses(name string) ([]string, error) {
	var addresses []string
	for _, f := range h.fields {
		if !strings.EqualFold(f.name, name) {
			continue
		}
		// Display names in legacy character sets are common and harmless; ParseAddress refuses
		// what stands for them in an address.
		list, err := addressParser.ParseList(strings.ToValidUTF8(f.value(), "\ufffd"))
		if err != nil || len(list) == 0 {
			return nil, ErrBadAddresses
		}
		for _, a := range list {
			addresses = append(addresses, a.Address)
		}
	}
	return addresses, nil
}
