package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestSelftestSaysWhatIsMissing(t *testing.T) {
	t.Setenv("POD_NAMESPACE", "")
	for _, args := range [][]string{nil, {"--relay=relay"}, {"--namespace=mailrelay-system"}} {
		if err := runSelftest(t.Context(), args, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "set --relay, and --namespace") {
			t.Errorf("%q: %v", args, err)
		}
	}
	var out bytes.Buffer
	if err := runSelftest(t.Context(), []string{"--help"}, &out); err == nil || !strings.Contains(out.String(), "MailRelay whose upstream is the host <relay>-sink") {
		t.Errorf("help: %v\n%s", err, &out)
	}
}
