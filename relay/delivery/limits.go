package delivery

import (
	"slices"
	"strings"
)

// errSurplus is the verdict on a recipient that the upstream was not asked about, since it says
// that it takes fewer at a time (RFC 9422). Another transaction can have it at once.
var errSurplus = &Error{
	Class: ClassRecipient, Step: StepRCPT, Code: 452, Enhanced: "4.5.3", Temporary: true,
	Text: "more recipients than the upstream takes at a time",
}

// admits reports whether one more recipient fits within the upstream's limits, and counts it.
func (t *transaction) admits(recipient string) bool {
	if l := t.limits.recipients; l > 0 && len(t.tried) >= l {
		return false
	}
	if !t.reaches(recipient) {
		return false
	}
	if t.limits.domains > 0 {
		if t.domains == nil {
			t.domains = make(map[string]bool)
		}
		t.domains[domainOf(recipient)] = true
	}
	return true
}

// reaches reports whether the connection can be used for a recipient's domain.
func (c *connection) reaches(recipient string) bool {
	return c.limits.domains == 0 || len(c.domains) < c.limits.domains || c.domains[domainOf(recipient)]
}

// serves reports whether the connection is of use for any of the recipients.
func (c *connection) serves(recipients []string) bool {
	return slices.ContainsFunc(recipients, c.reaches)
}

// spent reports whether the connection has had all the messages that it may have.
func (c *connection) spent(most int) bool {
	if c.limits.messages > 0 {
		most = min(most, c.limits.messages)
	}
	return c.transactions >= most
}

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}
