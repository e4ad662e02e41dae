package recode

import (
	"bytes"
	"slices"
)

// declare sets the Content-Transfer-Encoding of an entity. A message that did not speak of
// MIME so far has to begin with it, or the encoding means nothing (RFC 2045 §4).
func declare(e *entity, raw []byte, encoding, charset string) []byte {
	all := splitFields(raw)
	end := []byte{}
	if n := len(all); n > 0 && string(all[n-1]) == "\r\n" {
		all, end = all[:n-1], all[n-1]
	}
	var out bytes.Buffer
	for _, f := range all {
		if !isNamed(f, "Content-Transfer-Encoding") {
			out.Write(f)
		}
	}
	if e.isMessage && !all.has("MIME-Version") {
		out.WriteString("MIME-Version: 1.0\r\n")
	}
	if !e.typed && charset != "" {
		out.WriteString("Content-Type: text/plain; charset=" + charset + "\r\n")
	}
	out.WriteString("Content-Transfer-Encoding: " + encoding + "\r\n")
	out.Write(end)
	return out.Bytes()
}

func hasLongLine(header []byte) bool {
	if len(header) <= MaxLine {
		return false
	}
	for line := range bytes.Lines(header) {
		if len(bytes.TrimRight(line, "\r\n")) > MaxLine {
			return true
		}
	}
	return false
}

// foldAt is where long lines are folded when there is a place (RFC 5322 §2.1.1).
const foldAt = 78

// foldHeader folds the lines of a header that are too long (RFC 5322 §2.2.3). It reports false
// when one has no place to fold; that one stays as it is.
func foldHeader(header []byte) ([]byte, bool) {
	var out bytes.Buffer
	whole := true
	for _, field := range splitFields(header) {
		addresses := slices.ContainsFunc(addressFields, func(name string) bool { return isNamed(field, name) })
		for line := range bytes.Lines(field) {
			if len(bytes.TrimRight(line, "\r\n")) <= MaxLine {
				out.Write(line)
				continue
			}
			whole = foldLine(&out, line, addresses) && whole
		}
	}
	return out.Bytes(), whole
}

// addressFields may be folded after a comma as well.
var addressFields = []string{"To", "Cc", "From", "Reply-To", "Sender", "Resent-To", "Resent-Cc"}

// foldLine folds one line. A line made by folding must have more than white space.
func foldLine(out *bytes.Buffer, line []byte, addresses bool) bool {
	text := bytes.TrimRight(line, "\r\n")
	end := line[len(text):]
	whole := true
	for len(text) > foldAt {
		at, space := foldPlace(text, addresses)
		if at < 0 {
			break
		}
		whole = whole && at <= MaxLine
		out.Write(text[:at])
		out.WriteString("\r\n")
		text = text[at:]
		if !space {
			text = append([]byte(" "), text...)
		}
	}
	out.Write(text)
	out.Write(end)
	return whole && len(text) <= MaxLine
}

// foldPlace is the last place to fold within foldAt octets, or the first one after them;
// negative when there is none. space reports whether white space is there already.
func foldPlace(text []byte, addresses bool) (at int, space bool) {
	at = -1
	quoted, words := false, false
	for i := 1; i < len(text); i++ {
		c, before := text[i], text[i-1]
		words = words || before != ' ' && before != '\t'
		if before == '"' && (i < 2 || text[i-2] != '\\') {
			quoted = !quoted
		}
		blank := c == ' ' || c == '\t'
		comma := addresses && !quoted && before == ','
		if !words || !blank && !comma || len(bytes.TrimLeft(text[i:], " \t")) == 0 {
			continue
		}
		if i > foldAt && at >= 0 {
			break
		}
		at, space = i, blank
		if i > foldAt {
			break
		}
	}
	return at, space
}
