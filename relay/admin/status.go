package admin

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// StatusPath is where the status port has the config.Report.
const StatusPath = "/v1/status"

// status gives the report as JSON.
func status(report func() config.Report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+StatusPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(report())
	})
	return mux
}

// errNoStatusCA is what a client sees as a failed handshake.
var errNoStatusCA = errors.New("no CA for clients of the status port is loaded")

// mutualTLS shows the internal certificate and wants one of the status CA. Both are looked
// up at each handshake, since both are exchanged while the relay runs; for the same reason
// no session is resumed.
func mutualTLS(snapshot func() *config.Snapshot) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			s := snapshot()
			if s.StatusClientCAs == nil {
				return nil, errNoStatusCA
			}
			return &tls.Config{
				MinVersion:             tls.VersionTLS13,
				Certificates:           []tls.Certificate{*s.Internal},
				ClientAuth:             tls.RequireAndVerifyClientCert,
				ClientCAs:              s.StatusClientCAs,
				SessionTicketsDisabled: true,
				NextProtos:             []string{"http/1.1"},
			}, nil
		},
	}
}
