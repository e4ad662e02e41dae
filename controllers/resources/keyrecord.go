package resources

import (
	"encoding/json"
	"time"
)

// KeyAnnotation of a user's Secret holds the KeyRecord.
const KeyAnnotation = "mailrelay.dev/client-key"

// KeyRecord is what a Secret tells of the client certificate in it, besides the certificate.
type KeyRecord struct {
	// Issuer that signed it.
	Issuer string `json:"issuer"`
	// Issued is when it was written.
	Issued time.Time `json:"issued,omitzero"`
	// PreviousUntil is when the relay no longer accepts the one before.
	PreviousUntil time.Time `json:"previousUntil,omitzero"`
	// Renewed is set when the one before was only old, and works until it ends by itself.
	Renewed bool `json:"renewed,omitempty"`
	// Rotate and Leaked are the RelayUser's annotations that the key has answered.
	Rotate string `json:"rotate,omitempty"`
	Leaked string `json:"leaked,omitempty"`
}

// ParseKeyRecord reads a record, an empty one when there is none.
func ParseKeyRecord(annotation string) (record KeyRecord) {
	// One that cannot be read has been tampered with; it is made anew with the key.
	if err := json.Unmarshal([]byte(annotation), &record); err != nil {
		return KeyRecord{}
	}
	record.Issued, record.PreviousUntil = record.Issued.UTC(), record.PreviousUntil.UTC()
	return record
}

// String is the record as the annotation holds it.
func (k KeyRecord) String() string {
	// Strings, times and no cycle: it cannot fail.
	content, _ := json.Marshal(k)
	return string(content)
}
