package resources

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keyAnnotation of a Secret with credentials holds the KeyRecord.
const keyAnnotation = "mailrelay.dev/client-key"

// KeyRecord is what a Secret tells of the client certificate in it, besides the certificate.
type KeyRecord struct {
	// Issuer that signed it.
	Issuer string `json:"issuer"`
	// Rotate and Leaked are the RelayUser's annotations that the key has answered.
	Rotate string `json:"rotate,omitempty"`
	Leaked string `json:"leaked,omitempty"`
	// Previous is the KeyName of the key before, which the relay accepts Until then.
	Previous string       `json:"previous,omitempty"`
	Until    *metav1.Time `json:"until,omitempty"`
}

// ReadKeyRecord returns the record of a Secret, an empty one when there is none.
func ReadKeyRecord(secret metav1.Object) (record KeyRecord) {
	// One that cannot be read has been tampered with; it is made anew with the key.
	if err := json.Unmarshal([]byte(secret.GetAnnotations()[keyAnnotation]), &record); err != nil {
		return KeyRecord{}
	}
	return record
}

// Without returns the record without the key before, once its time is over.
func (k KeyRecord) Without(now time.Time) KeyRecord {
	if k.Until == nil || !now.Before(k.Until.Time) {
		k.Previous, k.Until = "", nil
	}
	return k
}

func (k KeyRecord) annotations() map[string]string {
	// A string, a time and no cycle: it cannot fail.
	content, _ := json.Marshal(k)
	return map[string]string{keyAnnotation: string(content)}
}
