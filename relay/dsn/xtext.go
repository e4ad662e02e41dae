package dsn

import (
	"fmt"
	"strings"
)

// Address types of Original-Recipient and Final-Recipient, and of ORCPT (RFC 3461 §9.1,
// RFC 6533 §3).
const (
	TypeRFC822 = "rfc822"
	TypeUTF8   = "utf-8"
)

// Xtext encodes a value for a parameter of MAIL or RCPT, such as ENVID (RFC 3461 §4). What it
// returns is printable ASCII without spaces, whatever it is given.
func Xtext(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		if c > ' ' && c <= '~' && c != '+' && c != '=' {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "+%02X", c)
		}
	}
	return out.String()
}

// ORCPT is an original recipient, its type and its address with a semicolon between them, as
// the value of ORCPT (RFC 3461 §4.2). Characters outside ASCII, of an address of the type
// utf-8, are written as they are only with smtpUTF8 (RFC 6533 §3).
func ORCPT(original string, smtpUTF8 bool) string {
	addressType, address, _ := strings.Cut(original, ";")
	if addressType == TypeUTF8 {
		return TypeUTF8 + ";" + utf8Address(address, smtpUTF8)
	}
	return Xtext(addressType) + ";" + Xtext(address)
}

// utf8Address is the form utf-8-addr-unitext of an address where eightBit is true, elsewhere
// utf-8-addr-xtext (RFC 6533 §3).
func utf8Address(address string, eightBit bool) string {
	var out strings.Builder
	for _, c := range address {
		switch {
		case c > ' ' && c <= '~' && !strings.ContainsRune(`+=\`, c), eightBit && c > '~' && plain(string(c)) == string(c):
			out.WriteRune(c)
		default:
			fmt.Fprintf(&out, `\x{%02X}`, c)
		}
	}
	return out.String()
}
