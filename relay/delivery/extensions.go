package delivery

import (
	"strconv"
	"strings"
)

// extensions are the EHLO keywords of an upstream, in upper case, with their parameters.
type extensions map[string]string

// parseExtensions reads the lines of an EHLO reply; the first one is the upstream's name.
// Keywords are case-insensitive (RFC 5321 §2.4).
func parseExtensions(lines []string) extensions {
	e := make(extensions, len(lines))
	for _, line := range lines[1:] {
		keyword, parameters, _ := strings.Cut(strings.TrimSpace(line), " ")
		keyword = strings.ToUpper(keyword)
		if rest, ok := strings.CutPrefix(keyword, "AUTH="); ok {
			// The form of the drafts before RFC 2554, still sent beside or instead of AUTH.
			keyword, parameters = "AUTH", rest+" "+parameters
		}
		if _, known := e[keyword]; known {
			parameters = e[keyword] + " " + parameters
		}
		e[keyword] = strings.TrimSpace(parameters)
	}
	return e
}

func (e extensions) has(keyword string) bool {
	_, ok := e[keyword]
	return ok
}

// size is the largest message that the upstream takes (RFC 1870), zero when it does not say.
func (e extensions) size() int64 {
	limit, err := strconv.ParseInt(e["SIZE"], 10, 64)
	if err != nil || limit < 0 {
		return 0
	}
	return limit
}

// limits are what an upstream says that it allows (RFC 9422). Zero is no limit.
type limits struct {
	// messages on one connection.
	messages int
	// recipients in one transaction.
	recipients int
	// domains of recipients on one connection.
	domains int
}

// limits reads the keyword LIMITS. What is malformed is no limit (RFC 9422 §3).
func (e extensions) limits() limits {
	var l limits
	for parameter := range strings.FieldsSeq(e["LIMITS"]) {
		name, value, _ := strings.Cut(parameter, "=")
		n, err := strconv.ParseUint(value, 10, 20)
		if err != nil {
			continue
		}
		switch strings.ToUpper(name) {
		case "MAILMAX":
			l.messages = int(n)
		case "RCPTMAX":
			l.recipients = int(n)
		case "RCPTDOMAINMAX":
			l.domains = int(n)
		}
	}
	return l
}
