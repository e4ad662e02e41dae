// Package dkimtest verifies relaxed/relaxed DKIM signatures in tests. It is written from RFC 6376
// §3.4, §3.5 and §6.1 and shares nothing with the signer, which must not be its own judge.
package dkimtest

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
)

var (
	blanks      = regexp.MustCompile(`[ \t]+`)
	allBlanks   = regexp.MustCompile(`[ \t\r\n]+`)
	lineBlanks  = regexp.MustCompile(`[ \t]+\r\n`)
	lastLines   = regexp.MustCompile(`(\r\n)+$`)
	signatureOf = regexp.MustCompile(`(?s)(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*`)
)

// Verify checks the topmost DKIM-Signature of a message and returns its tags. The public keys
// are by their name in the DNS.
func Verify(message string, public map[string]crypto.PublicKey) (map[string]string, error) {
	header, body, ok := strings.Cut(message, "\r\n\r\n")
	if !ok {
		return nil, fmt.Errorf("no end of the header")
	}
	fields := Fields(header + "\r\n")
	signature := ""
	for _, f := range fields {
		if strings.HasPrefix(f, "DKIM-Signature:") {
			signature = f
			break
		}
	}
	tags := Tags(signature)
	if tags["v"] != "1" || tags["c"] != "relaxed/relaxed" {
		return tags, fmt.Errorf("tags %v", tags)
	}
	sum := sha256.Sum256([]byte(relaxedBody(body)))
	if bh := base64.StdEncoding.EncodeToString(sum[:]); bh != tags["bh"] {
		return tags, fmt.Errorf("body hash %s, signed is %s", bh, tags["bh"])
	}
	var signed strings.Builder
	used := map[int]bool{}
	for _, name := range strings.Split(tags["h"], ":") {
		for i := len(fields) - 1; i >= 0; i-- {
			got, _, _ := strings.Cut(fields[i], ":")
			if !used[i] && strings.EqualFold(strings.TrimRight(got, " \t"), name) {
				used[i] = true
				signed.WriteString(relaxedField(fields[i]) + "\r\n")
				break
			}
		}
	}
	_, value, _ := strings.Cut(signature, ":")
	signed.WriteString(relaxedField("DKIM-Signature:" + signatureOf.ReplaceAllString(value, "$1$2")))
	return tags, check(tags, public[tags["s"]+"._domainkey."+tags["d"]], []byte(signed.String()))
}

func check(tags map[string]string, public crypto.PublicKey, signed []byte) error {
	b, err := base64.StdEncoding.DecodeString(tags["b"])
	if err != nil {
		return err
	}
	sum := sha256.Sum256(signed)
	switch key := public.(type) {
	case *rsa.PublicKey:
		if tags["a"] != "rsa-sha256" {
			return fmt.Errorf("algorithm %s", tags["a"])
		}
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], b)
	case ed25519.PublicKey:
		if tags["a"] != "ed25519-sha256" {
			return fmt.Errorf("algorithm %s", tags["a"])
		}
		if !ed25519.Verify(key, sum[:], b) {
			return fmt.Errorf("the Ed25519 signature is wrong")
		}
		return nil
	}
	return fmt.Errorf("no public key for %s._domainkey.%s", tags["s"], tags["d"])
}

// Fields cuts a header into fields with their folds.
func Fields(header string) []string {
	var fields []string
	for line := range strings.Lines(header) {
		if n := len(fields); n > 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[n-1] += line
			continue
		}
		fields = append(fields, line)
	}
	return fields
}

// Tags are the tags of a DKIM-Signature field, without white space.
func Tags(signature string) map[string]string {
	tags := map[string]string{}
	_, list, _ := strings.Cut(signature, ":")
	for _, tag := range strings.Split(list, ";") {
		name, value, _ := strings.Cut(tag, "=")
		tags[strings.TrimSpace(name)] = allBlanks.ReplaceAllString(value, "")
	}
	return tags
}

func relaxedField(field string) string {
	name, value, _ := strings.Cut(field, ":")
	value = blanks.ReplaceAllString(strings.ReplaceAll(value, "\r\n", ""), " ")
	return strings.ToLower(strings.TrimRight(name, " \t")) + ":" + strings.Trim(value, " ")
}

func relaxedBody(body string) string {
	body = lineBlanks.ReplaceAllString(body, "\r\n")
	body = blanks.ReplaceAllString(body, " ")
	body = lastLines.ReplaceAllString(body, "\r\n")
	if body == "\r\n" {
		return ""
	}
	if body != "" && !bytes.HasSuffix([]byte(body), []byte("\r\n")) {
		body += "\r\n"
	}
	return body
}
