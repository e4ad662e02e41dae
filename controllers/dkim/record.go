package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// Finding is what the DNS shows under a selector.
type Finding string

// Findings. The zero Finding means that the DNS was not asked yet.
const (
	// Published is the record of the key.
	Published Finding = "Published"
	// Missing is no record at all.
	Missing Finding = "Missing"
	// Differs is something with which signatures of the key could not be verified.
	Differs Finding = "Differs"
)

// Value is the record of a public key (RFC 6376 §3.6.1, RFC 8463 §4.2).
func Value(public crypto.PublicKey) (string, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return "", fmt.Errorf("encode a public key: %w", err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public), nil
	default:
		return "", fmt.Errorf("a DKIM key cannot be a %T", public)
	}
}

// maxString is what one string of a TXT record holds, in octets (RFC 1035 §3.3).
const maxString = 255

// Quoted is a value as a zone file has it.
func Quoted(value string) string {
	var parts []string
	for part := range slices.Chunk([]byte(value), maxString) {
		parts = append(parts, `"`+string(part)+`"`)
	}
	return strings.Join(parts, " ")
}

// Judge compares the TXT records under a selector with the value to publish. Only what matters to
// a verifier counts. Where they differ it says how.
func Judge(records []string, value string) (Finding, string) {
	switch len(records) {
	case 0:
		return Missing, ""
	case 1:
	default:
		// RFC 6376 §3.6.2.2 leaves open which of them a verifier takes.
		return Differs, fmt.Sprintf("there are %d TXT records at this name, and only one may be", len(records))
	}
	found, wrong := tags(records[0])
	if wrong != "" {
		return Differs, wrong
	}
	wanted, _ := tags(value)
	switch {
	case found["p"] == "":
		return Differs, "p= is empty, which withdraws the key"
	case !strings.EqualFold(orDefault(found, "k", "rsa"), wanted["k"]):
		return Differs, "k= names another algorithm"
	case found["p"] != wanted["p"]:
		return Differs, "p= is another key"
	case !lists(orDefault(found, "h", "sha256"), "sha256"):
		return Differs, "h= does not allow sha256"
	case !lists(orDefault(found, "s", "*"), "*", "email"):
		return Differs, "s= does not allow the key for email"
	}
	return Published, ""
}

// Leftover is what the DNS shows under the selector of a key that is gone: a record of any key, or
// none. What a wildcard answers with is none.
func Leftover(records []string) Finding {
	for _, record := range records {
		if _, wrong := tags(record); wrong == "" {
			return Published
		}
	}
	return Missing
}

// tags reads a tag list (RFC 6376 §3.2) without white space, or says what is wrong with it.
func tags(record string) (found map[string]string, wrong string) {
	found = map[string]string{}
	for i, tag := range strings.Split(strings.TrimRight(record, "; \t\r\n"), ";") {
		name, value, ok := strings.Cut(tag, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return nil, "it is no list of tags such as v=DKIM1; k=rsa; p=..."
		}
		if _, twice := found[name]; twice {
			return nil, name + "= is there twice"
		}
		value = strings.Join(strings.Fields(value), "")
		if name == "v" && (i != 0 || value != "DKIM1") {
			return nil, "v=DKIM1 has to be the first tag"
		}
		found[name] = value
	}
	if _, ok := found["p"]; !ok {
		return nil, "it has no p="
	}
	return found, ""
}

func orDefault(tags map[string]string, name, value string) string {
	if found, ok := tags[name]; ok {
		return found
	}
	return value
}

// lists reports whether a list with colons has one of the values.
func lists(list string, values ...string) bool {
	return slices.ContainsFunc(strings.Split(list, ":"), func(v string) bool { return slices.Contains(values, v) })
}
