// Package dkim signs messages (RFC 6376), with RSA and with Ed25519 (RFC 8463).
package dkim

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
	"golang.org/x/net/idna"

	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
)

// Key signs for a domain. Its public half is in the DNS at SELECTOR._domainkey.DOMAIN.
type Key struct {
	Domain   string
	Selector string
	// Signer is an RSA or Ed25519 key. Without it nothing can be sent for the domain, unless
	// another key of the domain is an RSA key.
	Signer crypto.Signer
}

// signedFields are what is signed where a message has it (RFC 6376 §5.4.1): what readers see
// and answer to. They are in the order in which they are given up when h= gets too long.
var signedFields = []string{
	"From", "Subject", "Date", "To", "Cc", "Reply-To", "Sender", "Message-ID", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "In-Reply-To", "References", "Content-ID", "Content-Description",
	"List-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Post", "List-Help", "List-Subscribe",
	"List-Owner", "List-Archive", "Resent-Date", "Resent-From", "Resent-To", "Resent-Cc", "Resent-Message-ID",
}

// overSigned are signed once more often than they occur, so that nobody can add another one
// that readers would see instead (RFC 6376 §8.15).
var overSigned = map[string]bool{"From": true, "Subject": true, "Date": true, "To": true, "Cc": true, "Reply-To": true}

// maxFieldList bounds h=, which has to fit a line.
const maxFieldList = 850

// Signer makes the signatures of one message, which is written to it as it is to be sent. Close
// must be called.
type Signer struct {
	keys     []Key
	unsigned []string
	header   bytes.Buffer
	// started means that the header is complete.
	started bool
	signers []*dkim.Signer
	body    io.Writer
	err     error
}

// ErrNoKey means that a domain's key is not known, and no other one can stand in for it.
var ErrNoKey = errors.New("the private key is missing")

// NewSigner returns a Signer that uses those of the keys that are for the domain of the From
// field. Fields named in unsigned are left out of the signature, for servers that change them.
func NewSigner(keys []Key, unsigned []string) *Signer {
	return &Signer{keys: keys, unsigned: unsigned, body: io.Discard}
}

// errHeader means that there is no header where one was expected.
var errHeader = errors.New("the header of the message has no end")

// Write implements io.Writer.
func (s *Signer) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.started {
		return s.body.Write(p)
	}
	// The end may have begun in what was written before.
	from := max(0, s.header.Len()-len(endOfHeader)+1)
	s.header.Write(p)
	end := bytes.Index(s.header.Bytes()[from:], []byte(endOfHeader))
	switch {
	case end >= 0:
		end += from + len(endOfHeader)
	case bytes.HasPrefix(s.header.Bytes(), []byte("\r\n")):
		end = len("\r\n")
	case s.header.Len() > 2*message.MaxHeaderBytes:
		s.err = errHeader
		return 0, s.err
	default:
		return len(p), nil
	}
	if s.err = s.start(s.header.Bytes()[:end]); s.err == nil {
		_, s.err = s.body.Write(s.header.Bytes())
	}
	return len(p), s.err
}

const endOfHeader = "\r\n\r\n"

// start begins a signature with each key that fits the header.
func (s *Signer) start(header []byte) error {
	s.started = true
	content, err := message.ReadAccepted(bytes.NewReader(header))
	if err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	defer content.Close()
	var writers []io.Writer
	keys, err := usable(choose(s.keys, &content.Header))
	if err != nil {
		return err
	}
	for _, key := range keys {
		signer, err := dkim.NewSigner(&dkim.SignOptions{
			Domain:                 key.Domain,
			Selector:               key.Selector,
			Signer:                 key.Signer,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed,
			BodyCanonicalization:   dkim.CanonicalizationRelaxed,
			HeaderKeys:             fieldList(&content.Header, s.unsigned),
		})
		if err != nil {
			return fmt.Errorf("sign with %s._domainkey.%s: %w", key.Selector, key.Domain, err)
		}
		s.signers = append(s.signers, signer)
		writers = append(writers, signer)
	}
	s.body = io.MultiWriter(writers...)
	return nil
}

// Signatures ends the message and returns its DKIM-Signature fields, to be put on top of it;
// none when no key is for its domain.
func (s *Signer) Signatures() ([]byte, error) {
	if s.err == nil && !s.started {
		s.err = errHeader
	}
	var fields bytes.Buffer
	for _, signer := range s.signers {
		if err := signer.Close(); err != nil {
			return nil, errors.Join(s.err, fmt.Errorf("sign the message: %w", err))
		}
		fields.WriteString(signer.Signature())
	}
	s.signers = nil
	return fields.Bytes(), s.err
}

// Close gives up what Signatures did not end.
func (s *Signer) Close() {
	for _, signer := range s.signers {
		_ = signer.Close() // nobody wants the signature any more
	}
	s.signers = nil
}

// usable returns those of the keys of a domain that can sign. ErrNoKey when one is missing and
// what is left cannot be verified everywhere, as RSA can (RFC 8463 §3).
func usable(keys []Key) ([]Key, error) {
	var present []Key
	rsaPresent := false
	for _, key := range keys {
		if key.Signer == nil {
			continue
		}
		present = append(present, key)
		_, isRSA := key.Signer.Public().(*rsa.PublicKey)
		rsaPresent = rsaPresent || isRSA
	}
	if len(present) == len(keys) || rsaPresent {
		return present, nil
	}
	missing := keys[slices.IndexFunc(keys, func(k Key) bool { return k.Signer == nil })]
	return nil, fmt.Errorf("%w: %s._domainkey.%s", ErrNoKey, missing.Selector, missing.Domain)
}

// choose returns the keys for the domain of the From field, or else those for the nearest
// domain above it, which DMARC takes for the same (RFC 7489 §3.1.1). When there are several
// From addresses, the first one counts that has keys.
func choose(keys []Key, h *message.Header) []Key {
	from, err := h.Addresses("From")
	if err != nil {
		return nil
	}
	for _, address := range from {
		for domain := domainOf(address); domain != ""; _, domain, _ = strings.Cut(domain, ".") {
			var chosen []Key
			for _, key := range keys {
				if strings.EqualFold(key.Domain, domain) {
					chosen = append(chosen, key)
				}
			}
			if chosen != nil {
				return chosen
			}
		}
	}
	return nil
}

// maxDomain is the longest domain in octets (RFC 5321 §4.5.3.1.2).
const maxDomain = 255

// domainOf returns the domain of an address in A-labels, as keys have it (RFC 6376 §3.5, d=);
// empty when it is no domain.
func domainOf(address string) string {
	domain := strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
	if len(domain) > maxDomain {
		return ""
	}
	domain, err := idna.Punycode.ToASCII(domain)
	if err != nil {
		return ""
	}
	return domain
}

// fieldList is what h= lists: every occurrence of the fields to sign.
func fieldList(h *message.Header, unsigned []string) []string {
	var list []string
	length := 0
	for _, name := range signedFields {
		if name != "From" && contains(unsigned, name) {
			continue
		}
		n := h.Count(name)
		// A message may have no To, and some servers write "undisclosed-recipients" there.
		if overSigned[name] && (n > 0 || name != "To") {
			n++
		}
		for ; n > 0 && length+len(name) < maxFieldList; n-- {
			list = append(list, name)
			length += len(name) + len(":")
		}
	}
	return list
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
