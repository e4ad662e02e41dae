package recode

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// decoded is the content of a message's parts, as the standard library reads it.
func decoded(message string) (string, error) {
	m, err := mail.ReadMessage(strings.NewReader(message))
	if err != nil {
		return "", err
	}
	contentType, parameters, _ := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if !strings.HasPrefix(contentType, "multipart/") {
		return decodeBody(m.Header.Get("Content-Transfer-Encoding"), m.Body)
	}
	var out strings.Builder
	reader := multipart.NewReader(m.Body, parameters["boundary"])
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		text, err := decodeBody(part.Header.Get("Content-Transfer-Encoding"), part)
		if err != nil {
			return "", err
		}
		out.WriteString("[" + text + "]")
	}
}

func decodeBody(encoding string, body io.Reader) (string, error) {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	text, err := io.ReadAll(body)
	return string(text), err
}

// normalised ends lines by CRLF and leaves out what a message cannot have.
func normalised(in []byte) []byte {
	in = bytes.ReplaceAll(in, []byte("\r"), nil)
	in = bytes.ReplaceAll(in, []byte("\x00"), nil)
	return bytes.ReplaceAll(in, []byte("\n"), []byte("\r\n"))
}

// FuzzContentStaysTheSame puts any content into parts of several kinds and decodes it again.
func FuzzContentStaysTheSame(f *testing.F) {
	f.Add([]byte("plain"), []byte("gr\u00fc\u00dfe \n.\nFrom x\n"), uint8(0), true)
	f.Add(bytes.Repeat([]byte("= \t"), 500), []byte("\xff\n\n"), uint8(1), false)
	f.Add([]byte("trailing \t\n \n"), bytes.Repeat([]byte("\u65e5"), 600), uint8(2), true)
	f.Fuzz(func(t *testing.T, a, b []byte, types uint8, sevenBit bool) {
		a, b = normalised(a), normalised(b)
		if bytes.Contains(a, []byte("--=_")) || bytes.Contains(b, []byte("--=_")) {
			return
		}
		header := []string{"", "Content-Type: text/html\r\n", "Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n", "Content-Transfer-Encoding: 8bit\r\n"}
		in := "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=_\"\r\n\r\n--=_\r\n" +
			header[types%4] + "\r\n" + string(a) + "\r\n--=_\r\n" + header[types/4%4] + "\r\n" + string(b) + "\r\n--=_--\r\n"
		checkUnopened(t, strings.Replace(in, "\"=_\"", "wrong", 1), Limits{SevenBit: sevenBit})
		out, err := recode(in, Limits{SevenBit: sevenBit})
		if err != nil {
			t.Fatal(err)
		}
		checkWire(t, out, sevenBit)
		if got, err := decoded(out); err != nil || got != "["+string(a)+"]["+string(b)+"]" {
			t.Fatalf("%v: %q became %q", err, in, out)
		}
	})
}

// checkUnopened checks that a multipart without any of its delimiters, which readers see as it
// is, is refused or keeps all but its line ends.
func checkUnopened(t *testing.T, in string, limits Limits) {
	t.Helper()
	out, err := recode(in, limits)
	if errors.Is(err, ErrUnfit) {
		return
	}
	_, was, _ := strings.Cut(in, "\r\n\r\n")
	_, is, _ := strings.Cut(out, "\r\n\r\n")
	if unbroken(is) != unbroken(was) {
		t.Fatalf("%v: %q became %q", err, in, out)
	}
}

func unbroken(s string) string { return strings.ReplaceAll(s, "\r\n", "") }

// FuzzRecode gives any message: what comes out is within the limits and needs no change.
func FuzzRecode(f *testing.F) {
	for _, s := range []string{
		"Content-Type: multipart/mixed; boundary=b\n\np\n--b\nContent-Type: message/rfc822\n\nX: y\n\n\xff\n--b--\n",
		"Content-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b--\n",
		"Content-Transfer-Encoding: quoted-printable\n\n=\n=3\xff=\n", "Content-Transfer-Encoding: base64\n\nAA\xff\nAA==\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(strings.ReplaceAll(s, "x", strings.Repeat("x ", 600))), false)
	}
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n"+strings.Repeat("x", 74)+"--b\n\xff\n--b--\n"), true)
	f.Fuzz(func(t *testing.T, in []byte, sevenBit bool) {
		out, err := recode(string(normalised(in)), Limits{SevenBit: sevenBit})
		if err != nil {
			return
		}
		checkWire(t, out, false)
		was, is := contentOf(string(normalised(in))), contentOf(out)
		if !slices.EqualFunc(was.decoded, is.decoded, func(a, b string) bool { return a == b || a == undecodable }) {
			t.Fatalf("%q became %q, its content %q became %q", in, out, was.decoded, is.decoded)
		}
		if sevenBit && is.eightBit {
			t.Fatalf("%q became %q, which has 8-bit content", in, out)
		}
		again, err := recode(out, Limits{SevenBit: sevenBit})
		if err != nil || again != out {
			t.Fatalf("%q became %q and then %q, %v", in, out, again, err)
		}
	})
}

// contents are what a message's parts hold.
type contents struct {
	// decoded is the content of each part that can be decoded, and what stands around parts
	// where there are none, without line ends.
	decoded []string
	// eightBit is said of all but headers.
	eightBit bool
	// scanned is the raw content by entity.
	scanned []string
}

// undecodable is content of which nobody knows what it means.
const undecodable = "undecodable"

// malformed is an equals sign that begins nothing (RFC 2045 §6.7).
var malformed = regexp.MustCompile(`=([^0-9A-Fa-f\r]|[0-9A-Fa-f]([^0-9A-Fa-f]|$)|\r[^\n]|$)`)

func contentOf(message string) *contents {
	c := new(contents)
	w := newWalker(c)
	_, _ = w.Write([]byte(message))
	w.close()
	return c
}

func (c *contents) header(e *entity, _ []byte) {
	for len(c.scanned) <= e.index {
		c.scanned = append(c.scanned, "")
	}
}

func (c *contents) body(e *entity, piece []byte, _ bool) { c.frame(e, piece, false) }

func (c *contents) frame(e *entity, piece []byte, _ bool) {
	c.scanned[e.index] += string(piece)
	c.eightBit = c.eightBit || bytes.ContainsFunc(piece, func(r rune) bool { return r >= utf8.RuneSelf })
}

func (c *contents) end(e *entity, delimited bool) {
	text := c.scanned[e.index]
	switch {
	case e.kind == parted && e.opened, e.kind == enclosed:
		return
	case e.kind == parted:
		text = unbroken(text)
	case e.kind == leaf:
		if delimited {
			text = strings.TrimSuffix(text, "\r\n")
		}
		var err error
		text, err = decodeBody(e.encoding, strings.NewReader(text))
		if err != nil || e.encoding == "quoted-printable" && malformed.MatchString(c.scanned[e.index]) {
			text = undecodable
		}
	}
	c.decoded = append(c.decoded, text)
}

// checkWire checks what every server may rely on.
func checkWire(t *testing.T, out string, sevenBit bool) {
	t.Helper()
	if strings.ContainsAny(strings.ReplaceAll(out, "\r\n", ""), "\r\n") {
		t.Fatalf("bare CR or LF in %q", out)
	}
	for line := range strings.Lines(out) {
		if len(strings.TrimRight(line, "\r\n")) > MaxLine {
			t.Fatalf("a line of %d octets", len(line))
		}
	}
	if sevenBit && strings.ContainsFunc(out, func(r rune) bool { return r >= 0x80 }) {
		t.Fatalf("8-bit in %q", out)
	}
}
