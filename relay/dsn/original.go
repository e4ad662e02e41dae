package dsn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

const (
	// maxHeader bounds how much of the original header section is returned.
	maxHeader = 64 << 10
	// MaxReturned is the size in bytes of the largest message that is returned as a whole. Of
	// a larger one only the header is, as RFC 3461 §6.2 leaves to an implementation.
	MaxReturned = 100 << 10
)

// original is the part with what is returned of the message; nil for nothing.
func (r Report) original() (*part, error) {
	if r.Message == nil {
		return nil, nil
	}
	message := r.Message
	// A notification without a failure has no use for the content (RFC 3461 §4.3).
	if r.Full && r.has(failed) {
		content, err := io.ReadAll(io.LimitReader(message, MaxReturned+1))
		if err != nil {
			return nil, err
		}
		if len(content) <= MaxReturned {
			return r.returned("The message", content, "message/rfc822", eightBit, "message/global"), nil
		}
		message = bytes.NewReader(content)
	}
	header, err := originalHeader(message)
	if err != nil || len(header) == 0 {
		return nil, err
	}
	return r.returned("Header of the message", header, "text/rfc822-headers", quotedPrintable, "message/global-headers"), nil
}

// returned is the message, or its header, as a part. Where the header needs UTF-8 it is of a
// type of RFC 6533 that may be encoded, and is for who cannot take it otherwise (§4.5);
// message/rfc822 may never be (RFC 2046 §5.2.1).
func (r Report) returned(description string, content []byte, contentType, encoding, global string) *part {
	if r.Envelope.SMTPUTF8 {
		contentType, encoding = global, quotedPrintable
		if r.SMTPUTF8() && !hasLongLine(content) {
			encoding = eightBit
		}
	}
	return newPart(contentType, description, content, encoding)
}

// originalHeader reads a header section up to its empty line, or as many whole lines as fit.
// Its lines end in CRLF, and a CR elsewhere becomes a space. Nothing of the body is
// returned: it may hold what nobody but the recipient should read.
func originalHeader(message io.Reader) ([]byte, error) {
	limited := &io.LimitedReader{R: message, N: maxHeader}
	in := bufio.NewReader(limited)
	out := new(bytes.Buffer)
	for {
		text, err := in.ReadBytes('\n')
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return nil, err
		}
		if ended && limited.N == 0 {
			return out.Bytes(), nil
		}
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		if len(text) == 0 {
			return out.Bytes(), nil
		}
		out.Write(bytes.ReplaceAll(text, []byte("\r"), []byte(" ")))
		out.WriteString("\r\n")
		if ended {
			return out.Bytes(), nil
		}
	}
}
