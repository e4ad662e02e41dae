// Package hostile holds what attackers send to a relay, for every test that plays one.
package hostile

import "strings"

// NotTheEnd are sequences that some server takes for the end of data and that are none
// (RFC 5321 §4.1.1.4).
var NotTheEnd = []string{
	"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n.\r\r\n", "\n.\r", "\r.\n", "\r\r\n.\r\r\n",
	"\r\n\x00.\r\n", "\r\n.\x00\r\n", "\r\n.\r\x00\n", "\r\n. \r\n", "\r\n.\t\r\n", "\r\n.\x0b\r\n", "\r\n.\x0c\r\n",
	"\r\n\r.\r\n", "\n\n.\n\n", "\r\n.\n\r\n", "\r\n..\r\n", "\r\n\u2028.\r\n", "\r\n.\u2028\r\n", "\r\n\u0085.\r\n", "\r\n.\u0085\r\n",
}

// TheEnd are sequences that end with an end of data, some of which servers overlook.
var TheEnd = []string{
	"\r\n.\r\n", "\n\r\n.\r\n", "\r\r\r\n.\r\n", "\r\n.\r.\r\n.\r\n",
	"\r\r\n.\r\n", "\r\n\r\r\n.\r\n", "\r\n.\r\r\n.\r\n", "\r\n.x\r\r\n.\r\n", "\r\n..\r\r\n.\r\n",
}

// Smuggled begins a second message, if what is before it is taken for the end of the first.
const Smuggled = "MAIL FROM:<app@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\n"

// HasBareCR reports whether content has a CR that no LF follows, or two before one.
func HasBareCR(content string) bool {
	return strings.Contains(strings.ReplaceAll(content, "\r\n", ""), "\r") || strings.Contains(content, "\r\r\n")
}

// MustBeRefused reports whether a message is refused for the sequence, wherever the message
// ends: for a bare CR or a NUL.
func MustBeRefused(sequence string) bool {
	return HasBareCR(sequence) || strings.Contains(sequence, "\x00")
}

// Cuts are the ways to hand a sequence over: in two, at each byte, and byte by byte.
func Cuts(sequence string) [][]string {
	var cuts [][]string
	for at := range len(sequence) + 1 {
		cuts = append(cuts, []string{sequence[:at], sequence[at:]})
	}
	return append(cuts, strings.Split(sequence, ""))
}
