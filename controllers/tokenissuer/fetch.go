package tokenissuer

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Where an API server tells of its issuer. The address of the keys that it publishes is for
// those outside the cluster and may be another; here is where the API server has them itself.
const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/openid/v1/jwks"
)

// timeout of a request.
const timeout = 10 * time.Second

// fetch returns issuer and keys as relays read them.
func fetch(ctx context.Context, api rest.Interface) ([]byte, error) {
	var document struct {
		Issuer string `json:"issuer"`
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := get(ctx, api, discoveryPath, &document); err != nil {
		return nil, err
	}
	if err := get(ctx, api, keysPath, &set); err != nil {
		return nil, err
	}
	content, err := json.Marshal(map[string]any{"issuer": document.Issuer, "keys": set.Keys})
	if err != nil {
		return nil, fmt.Errorf("join %s and %s: %w", discoveryPath, keysPath, err)
	}
	keys, err := config.ParseTokenKeys(content)
	if err != nil {
		return nil, fmt.Errorf("what is at %s and %s together: %w", discoveryPath, keysPath, err)
	}
	return keys.Marshal()
}

func get(ctx context.Context, api rest.Interface, path string, into any) error {
	content, err := api.Get().AbsPath(path).Timeout(timeout).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// explain says what to do about a reading that failed. It is the same for the same trouble, since
// it ends up in conditions; the whole error is in the log.
func explain(err error) string {
	const where = discoveryPath + " and " + keysPath
	switch {
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return "the operator may not read " + where + " of the API server: give its ClusterRole the verb get on these nonResourceURLs"
	case apierrors.IsNotFound(err):
		return "the API server has nothing at " + where + ": set its --service-account-issuer to a URL that begins with https"
	default:
		return "the operator cannot read " + where + " of the API server: see the operator's log"
	}
}
