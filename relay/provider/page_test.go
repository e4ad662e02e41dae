package provider

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestReferenceDescribesEveryProvider keeps docs/reference/providers.md equal to the data.
func TestReferenceDescribesEveryProvider(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/reference/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(content)
	for i := range providers {
		want := section(&providers[i])
		if !strings.Contains(page, want) {
			t.Errorf("the reference does not have, word for word:\n%s", want)
		}
		page = strings.Replace(page, want, "", 1)
	}
	if _, rest, _ := strings.Cut(page, "\n## "); strings.Contains(rest, "| host |") {
		t.Errorf("the reference has a provider that is not known:\n%s", rest)
	}
}

// section is what the reference says of a provider.
func section(p *Provider) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n| `%s` | |\n|---|---|\n", p.Title, p.Name)
	row := func(name, text string) { fmt.Fprintf(&b, "| %s | %s |\n", name, text) }
	if p.Host != "" {
		row("host", "`"+p.Host+"`")
	} else {
		row("host", "yours, such as `"+p.HostExample+"`")
	}
	row("port", ports(p))
	login := p.Login
	if p.Mechanism != "" {
		login += "; mechanism " + p.Mechanism
	}
	row("login", login)
	row("limits", limits(p.Limits))
	if len(p.UnsignedHeaders) > 0 {
		row("changes", strings.Join(p.UnsignedHeaders, ", "))
	}
	row("you", p.Setup)
	if p.Unconfirmed != "" {
		row("unconfirmed", p.Unconfirmed)
	}
	return b.String()
}

func ports(p *Provider) string {
	var all []string
	for _, port := range []struct {
		number int
		mode   string
	}{{p.Implicit, "Implicit"}, {p.StartTLS, "StartTLS"}} {
		if port.number != 0 {
			all = append(all, fmt.Sprintf("%d with `tls: %s`", port.number, port.mode))
		}
	}
	return strings.Join(all, ", ")
}

func limits(l Limits) string {
	var all []string
	add := func(n int, unit string) {
		if n != 0 {
			all = append(all, fmt.Sprintf("%d %s", n, unit))
		}
	}
	add(l.Connections, "connections")
	add(l.MessagesPerConnection, "messages a connection")
	add(l.RecipientsPerMessage, "recipients a message")
	for _, r := range l.Rates {
		period := strings.TrimSuffix(strings.TrimSuffix(r.Period.String(), "0s"), "0m")
		add(r.Messages, "messages in "+period)
		add(r.Recipients, "recipients in "+period)
	}
	if len(all) == 0 {
		return "none known"
	}
	return strings.Join(all, ", ")
}
