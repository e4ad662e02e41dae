package admin

import (
	"io"
	"net/http"
)

// probes answers the kubelet. It gives no data, so that it needs no protection.
func probes(alive, ready func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", probe(alive))
	mux.HandleFunc("GET /readyz", probe(ready))
	return mux
}

func probe(good func() bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if !good() {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, "no\n")
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	}
}
