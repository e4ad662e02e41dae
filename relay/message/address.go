package message

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Limits of RFC 5321 §4.5.3.1 and RFC 1035 §2.3.4, in octets.
const (
	maxLocalPart = 64
	maxDomain    = 255
	maxAddress   = 254 // a path is 256 octets with its angle brackets
	maxLabel     = 63
)

// Address is a mailbox (RFC 5321 §4.1.2) that can be written to the wire as it is: its
// local-part needs no quotes and its domain is a fully-qualified name.
type Address struct {
	LocalPart string
	Domain    string
}

// String is the address without angle brackets.
func (a Address) String() string { return a.LocalPart + "@" + a.Domain }

// ASCII reports whether the address can be used without SMTPUTF8 (RFC 6531).
func (a Address) ASCII() bool { return isASCII(a.LocalPart) && isASCII(a.Domain) }

// AddressFault is what part of an address is wrong, so that a reply can carry the enhanced
// status code for it.
type AddressFault int

// The faults of an address.
const (
	// BadSyntax is an address that the grammar does not know.
	BadSyntax AddressFault = iota
	// NeedsQuotes is a local-part that is allowed only in quotes. It is refused, since the
	// SMTP server takes the quotes off before anyone can see them, and without them the
	// address means something else.
	NeedsQuotes
	// BadDomain is a domain that is no host name.
	BadDomain
	// Unqualified is a domain of a single label, or none.
	Unqualified
	// Literal is an address literal, such as "[192.0.2.1]".
	Literal
	// NeedsUTF8 is an address with characters outside ASCII in a transaction without SMTPUTF8.
	NeedsUTF8
)

// AddressError is why a text is no usable address.
type AddressError struct {
	Fault AddressFault
	// Text says what is wrong and what to write instead. It never repeats the address.
	Text string
}

func (e *AddressError) Error() string { return e.Text }

// ParseAddress reads a mailbox without angle brackets. Characters outside ASCII are
// allowed only with smtpUTF8. The error is always an *AddressError.
func ParseAddress(s string, smtpUTF8 bool) (Address, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return Address{}, &AddressError{Unqualified, "the address has no domain: write it as user@example.com"}
	}
	a := Address{LocalPart: s[:at], Domain: s[at+1:]}
	if !smtpUTF8 && !a.ASCII() {
		return Address{}, &AddressError{NeedsUTF8, "an address with characters outside ASCII needs SMTPUTF8"}
	}
	if len(s) > maxAddress {
		return Address{}, &AddressError{BadSyntax, "the address is longer than 254 octets"}
	}
	if err := checkLocalPart(a.LocalPart); err != nil {
		return Address{}, err
	}
	if err := checkDomain(a.Domain); err != nil {
		return Address{}, err
	}
	return a, nil
}

// checkLocalPart accepts a Dot-string (RFC 5321 §4.1.2).
func checkLocalPart(s string) error {
	switch {
	case s == "":
		return &AddressError{BadSyntax, "the address has nothing before the @"}
	case len(s) > maxLocalPart:
		return &AddressError{BadSyntax, "the part before the @ is longer than 64 octets"}
	case !utf8.ValidString(s):
		return &AddressError{BadSyntax, "the address is not valid UTF-8"}
	}
	for _, r := range s {
		switch {
		case r == '.' || isAtext(r):
		case r >= ' ' && r < unicode.MaxASCII:
			return &AddressError{NeedsQuotes, "an address whose local-part needs quotes is not supported"}
		default:
			return &AddressError{BadSyntax, "the part before the @ has a character that is not allowed"}
		}
	}
	if s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return &AddressError{NeedsQuotes, "the part before the @ must not start or end with a dot or have two in a row"}
	}
	return nil
}

// isAtext reports whether r may stand in an atom (RFC 5322 §3.2.3, RFC 6531 §3.3). Outside
// ASCII only visible characters may: a line separator or a direction override in an address
// can only deceive, and what stands for an unknown character means no mailbox.
func isAtext(r rune) bool {
	if r >= utf8.RuneSelf {
		return unicode.IsGraphic(r) && !unicode.IsSpace(r) && r != utf8.RuneError
	}
	return isLetterDigit(r) || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

// checkDomain accepts a fully-qualified host name: two labels or more of letters, digits
// and inner hyphens. It takes no trailing dot (RFC 5321 §2.3.5).
func checkDomain(s string) error {
	switch {
	case s == "":
		return &AddressError{Unqualified, "the address has nothing after the @"}
	case s[0] == '[':
		return &AddressError{Literal, "an address literal is not supported: write a domain name"}
	case len(s) > maxDomain:
		return &AddressError{BadDomain, "the domain is longer than 255 octets"}
	case !utf8.ValidString(s):
		return &AddressError{BadDomain, "the domain is not valid UTF-8"}
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	if !isASCII(s) && !isRegistrable(s) {
		return &AddressError{BadDomain, "the domain is not written as IDNA registers it: use lower case and no look-alike forms, or its A-labels (xn--)"}
	}
	last := labels[len(labels)-1]
	if len(labels) == 1 {
		return &AddressError{Unqualified, "the domain is not fully qualified: write it as user@host.example.com"}
	}
	if strings.Trim(last, "0123456789") == "" {
		return &AddressError{BadDomain, "an IP address is not a domain: write a domain name"}
	}
	return nil
}

// checkLabel accepts one label of a host name (RFC 1123 §2.1), or a U-label in UTF-8.
func checkLabel(label string) error {
	switch {
	case label == "":
		return &AddressError{BadDomain, "the domain has an empty label: check its dots"}
	case len(label) > maxLabel:
		return &AddressError{BadDomain, "the domain has a label longer than 63 octets"}
	case label[0] == '-' || label[len(label)-1] == '-':
		return &AddressError{BadDomain, "the domain has a label that starts or ends with a hyphen"}
	}
	for _, r := range label {
		if r != '-' && !isLetterDigit(r) && (r < utf8.RuneSelf || !isIdentifier(r)) {
			return &AddressError{BadDomain, "the domain has a character that is not allowed in a host name"}
		}
	}
	return nil
}

func isLetterDigit(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// isIdentifier reports whether r may stand in an internationalised label: no symbols, and
// none of the characters that look or act like a dot.
func isIdentifier(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)
}

// isRegistrable reports whether a domain outside ASCII is one that there can be (RFC 5891 §4).
// Other spellings are mapped to such a domain by some programs and not by others, so that a
// list of domains could be gone around.
func isRegistrable(domain string) bool {
	_, err := idna.Registration.ToASCII(lowerASCII(domain))
	return err == nil
}

// lowerASCII lowers the letters A to Z only, as no others are equal in a domain.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
