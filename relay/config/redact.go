package config

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// recipientHashSize is how much of the hash is shown: enough to tell the recipients of one
// relay apart.
const recipientHashSize = 8

// maxClipped is as many octets as an address can have.
const maxClipped = 320

// Clip shortens what a stranger wrote, so that it does not fill the log.
func Clip(s string) string {
	if len(s) <= maxClipped {
		return s
	}
	return strings.ToValidUTF8(s[:maxClipped], "") + "…"
}

// FormatRecipient shows an address in a log the way that Logging.Recipients asks for: as it
// is, as the domain only, or as the start of the SHA-256 of the address in lower case, in
// hex, so that whoever knows an address can look for it.
func FormatRecipient(mode, address string) string {
	switch mode {
	case RecipientsDomain:
		return address[strings.LastIndexByte(address, '@')+1:]
	case RecipientsHash:
		sum := sha256.Sum256([]byte(strings.ToLower(address)))
		return hex.EncodeToString(sum[:recipientHashSize])
	}
	return address
}
