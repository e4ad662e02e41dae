package controllers

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// tokenKeySet answers in place of the API server when it is asked for the keys of its tokens.
type tokenKeySet struct{ answer atomic.Pointer[[]byte] }

func (k *tokenKeySet) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		answer := k.answer.Load()
		if request.URL.Path != "/openid/v1/jwks" || answer == nil {
			return next.RoundTrip(request)
		}
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/jwk-set+json"}},
			Body: io.NopCloser(bytes.NewReader(*answer)), Request: request,
		}, nil
	})
}

// keysOf are the IDs of the keys that the pods of a relay get.
func (c *cluster) keysOf(t *testing.T, namespace string) []string {
	t.Helper()
	written := secretNamed(namespace, "relay-config-v1")
	c.mustGet(t, written)
	known, err := config.ParseTokenKeys(written.Data["token-keys.json"])
	if err != nil {
		return nil
	}
	var ids []string
	for _, key := range known.Keys {
		ids = append(ids, key.KeyID)
	}
	return ids
}

// TestNewKeyOfTheClusterReachesARelayThatMissesIt: long before the keys are read anyway.
func TestNewKeyOfTheClusterReachesARelayThatMissesIt(t *testing.T) {
	crds, err := certManagerCRDs()
	if err != nil {
		t.Fatal(err)
	}
	c, stopOperator := ownCluster(t, crds)
	stopOperator()
	set := &tokenKeySet{}
	c.operator.Wrap(set.wrap)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go issueForever(ctx, c)
	if err := c.startOperator(ctx); err != nil {
		t.Fatal(err)
	}
	namespace := c.namespace(t, nil)
	_, pods := c.readyRelay(t, namespace, nil)
	eventually(t, "the key of the cluster", func() error {
		if keys := c.keysOf(t, namespace); len(keys) != 1 {
			return fmt.Errorf("the relay has %v", keys)
		}
		return nil
	})

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{KeyID: "new", Key: key.Public()}}})
	if err != nil {
		t.Fatal(err)
	}
	set.answer.Store(&answer)
	c.fleet.change(keyOf(pods[0]), func(report *config.Report) { report.TokenKeyMissed = time.Now() })
	c.change(t, pods[0], func() { pods[0].Labels["look"] = "again" }) // as the next poll would
	eventually(t, "the new key", func() error {
		if keys := c.keysOf(t, namespace); len(keys) != 1 || keys[0] != "new" {
			return fmt.Errorf("the relay has %v", keys)
		}
		return nil
	})
}
