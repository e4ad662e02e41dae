package message

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPassesCountsOurOwnReceivedFields(t *testing.T) {
	t.Parallel()
	const id = "01jds5qmg0abcdefghjk"
	const ours = "Received: from app ([192.0.2.1])\r\n\tby relay.test with ESMTPSA (TLS1.3 X)\r\n\tid " + id + "; Sun, 1 Mar 2026 12:00:00 +0000\r\n"
	for _, tc := range []struct {
		name, header string
		want         int
	}{
		{"none", "Subject: x\r\n", 0},
		{"one", ours, 1},
		{"several", ours + "X: y\r\n" + ours + strings.Replace(ours, "relay.test", "RELAY.test", 1), 3},
		{"another relay", strings.Replace(ours, "relay.test", "other.test", 1), 0},
		{"a host below ours", strings.Replace(ours, "relay.test", "x.relay.test", 1), 0},
		{"an id of another program", strings.Replace(ours, id, "4bXyZ12345z1", 1), 0},
		{"an id of another alphabet", strings.Replace(ours, id, strings.ToUpper(id), 1), 0},
		{"no id", "Received: by relay.test; Sun, 1 Mar 2026 12:00:00 +0000\r\n", 0},
		{"our name only behind the semicolon", "Received: by x; by relay.test id " + id + "\r\n", 0},
		{"another field", strings.Replace(ours, "Received", "X-Received", 1), 0},
		{"words that end too early", "Received: by\r\nReceived: id\r\nReceived:\r\n", 0},
	} {
		if got := headerOf(t, tc.header).Passes("relay.test"); got != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestPassesKnowsWhatCompleteWrites keeps the two together.
func TestPassesKnowsWhatCompleteWrites(t *testing.T) {
	t.Parallel()
	h := headerOf(t, "Subject: x\r\n")
	for n := range 5 {
		if got := h.Passes("relay.test"); got != n {
			t.Fatalf("%d passes after %d", got, n)
		}
		h.Complete(Submission{
			QueueID: "01jds5qmg0abcdefghjk", Hostname: "relay.test", ClientName: "by relay.test id x", User: "app.shop",
			ClientAddress: netip.MustParseAddr("2001:db8::1"), TLS: "TLS1.3 TLS_AES_128_GCM_SHA256", Time: time.Now(),
		})
	}
}
