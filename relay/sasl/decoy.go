package sasl

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	"github.com/xdg-go/scram"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// decoys are what SCRAM shows for users who do not exist: for each name always the same
// salt, as of a real user, and keys that no password has.
type decoys struct {
	key                  func() string
	own                  string
	storedKey, serverKey [sha256.Size]byte
}

func newDecoys(key func() string) *decoys {
	d := &decoys{key: key, own: rand.Text()}
	_, _ = rand.Read(d.storedKey[:])
	_, _ = rand.Read(d.serverKey[:])
	return d
}

// of is the decoy of a name.
func (d *decoys) of(name string) scram.StoredCredentials {
	key := ""
	if d.key != nil {
		key = d.key()
	}
	if key == "" {
		key = d.own
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(name))
	salt := string(mac.Sum(nil)[:config.VerifierSaltSize])
	return d.like(scram.KeyFactors{Salt: salt, Iters: config.VerifierIterations})
}

// like is a decoy with the salt and iterations of somebody.
func (d *decoys) like(factors scram.KeyFactors) scram.StoredCredentials {
	return scram.StoredCredentials{KeyFactors: factors, StoredKey: d.storedKey[:], ServerKey: d.serverKey[:]}
}
