package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// checker collects what validation finds.
type checker struct {
	lines    map[string]int
	problems Problems
}

// check runs a validation and returns what it found in the order of the lines.
func check(lines map[string]int, validate func(*checker)) error {
	k := &checker{lines: lines}
	validate(k)
	slices.SortStableFunc(k.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return k.problems.orNil()
}

// failf notes what is wrong with a field. The line is that of the field or, when it is
// not written in the file, of the nearest one around it.
func (k *checker) failf(field, format string, args ...any) {
	k.problems = append(k.problems, Problem{Line: k.line(field), Field: field, Message: fmt.Sprintf(format, args...)})
}

func (k *checker) line(field string) int {
	for ; field != ""; field = parent(field) {
		if line, ok := k.lines[field]; ok {
			return line
		}
	}
	return 0
}

// parent cuts the last name or index off a field's path.
func parent(field string) string {
	for i := len(field) - 1; i > 0; i-- {
		if field[i] == '.' || field[i] == '[' {
			return field[:i]
		}
	}
	return ""
}

func (k *checker) version(got int) {
	switch got {
	case Version:
	case 0:
		k.failf("version", "missing: write \"version: %d\"", Version)
	default:
		k.failf("version", "%d is not known: this relay reads version %d", got, Version)
	}
}

// positive wants numbers and durations, by field name, to be more than nothing.
func positive[N ~int | ~int64](k *checker, prefix string, fields map[string]N) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] <= 0 {
			k.failf(prefix+name, "must be more than 0, or left out for the default")
		}
	}
}

func (c *Config) validate(k *checker) {
	k.version(c.Version)
	switch {
	case c.Hostname == "":
		k.failf("hostname", "missing: write the name that the relay goes by, such as mail.example.com")
	case !isHostname(c.Hostname):
		k.failf("hostname", "%q is not a host name: write letters, digits and hyphens with dots between, such as mail.example.com", c.Hostname)
	}
	c.Listeners.validate(k)
	c.TLS.validate(k)
	c.validateUpstreams(k)
	c.validateRoutes(k)
	c.Users.validate(k)
	c.Queue.validate(k)
	c.Message.validate(k)
	c.validateDKIM(k)
	c.Probe.validate(k)
	c.Logging.validate(k)
	c.Admin.validate(k)
}

func (u *Users) validate(k *checker) {
	seen := map[string]bool{}
	for i, file := range u.Files {
		field := fmt.Sprintf("users.files[%d]", i)
		switch {
		case file == "":
			k.failf(field, "empty: write the path of a user file")
		case seen[file]:
			k.failf(field, "%s is listed twice", file)
		}
		seen[file] = true
	}
	u.Tokens.validate(k)
}

func (q *Queue) validate(k *checker) {
	positive(k, "queue.", map[string]int64{
		"lifetime": int64(q.Lifetime), "retryInitial": int64(q.RetryInitial),
		"retryMax": int64(q.RetryMax), "senderHold": int64(q.SenderHold),
		"delayNotice": int64(q.DelayNotice), "deadLetterRetention": int64(q.DeadLetterRetention),
	})
	if q.LowSpace < mebibyte {
		k.failf("queue.lowSpace", "%d bytes cannot hold the outcome of deliveries: write at least %d", q.LowSpace, mebibyte)
	}
	if q.RetryMax < q.RetryInitial {
		k.failf("queue.retryMax", "%s is shorter than retryInitial, %s: write at least that", q.RetryMax, q.RetryInitial)
	}
	if q.Postmaster != "" && !isAddress(q.Postmaster) {
		k.failf("queue.postmaster", "%q is not an address: write one such as postmaster@example.com", q.Postmaster)
	}
	switch {
	case q.BounceSender == "" || q.Postmaster == q.BounceSender:
	case q.Postmaster == "":
		k.failf("queue.bounceSender", "nobody gets what it sends: set queue.postmaster too")
	case !isAddress(q.BounceSender):
		k.failf("queue.bounceSender", "%q is not an address: write one that the upstreams let the relay send as", q.BounceSender)
	}
}

func (m *Message) validate(k *checker) {
	if m.MaxSize < kibibyte {
		k.failf("message.maxSize", "%d bytes is too small for any message: write at least %d", m.MaxSize, kibibyte)
	}
	positive(k, "message.", map[string]int{"maxRecipients": m.MaxRecipients})
	m.Recipients.validate(k, "message.recipients.")
	k.oneOf("message.bareLF", m.BareLF, BareLFNormalize, BareLFRefuse)
	m.validateHeader(k)
}

func (l *Logging) validate(k *checker) {
	k.oneOf("logging.level", l.Level, LevelDebug, LevelInfo, LevelWarn, LevelError)
	k.oneOf("logging.recipients", l.Recipients, RecipientsFull, RecipientsDomain, RecipientsHash)
}
