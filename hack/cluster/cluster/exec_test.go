package cluster

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
)

// TestExecLosesNoOutput runs on the cluster in MAILRELAY_CLUSTER_DIR, which it
// leaves as it is.
func TestExecLosesNoOutput(t *testing.T) {
	dir := os.Getenv("MAILRELAY_CLUSTER_DIR")
	if dir == "" {
		t.Skip("part of TestUpCrashUpDown; to run it alone, set MAILRELAY_CLUSTER_DIR to the directory of a cluster that is up")
	}
	place, err := layout.New(dir, os.Getenv("MAILRELAY_CLUSTER_CACHE"))
	if err != nil {
		t.Fatal(err)
	}
	checkExec(t, New(place, io.Discard))
}

// checkExec runs a command in a pod again and again, by each of the two
// protocols that kubectl knows. The answers are asked of CoreDNS, which every
// cluster has, and which writes its version and ends.
func checkExec(t *testing.T, c *Cluster) {
	t.Helper()
	const times = 25
	for name, webSockets := range map[string]string{"WebSocket": "true", "SPDY": "false"} {
		lost := 0
		for range times {
			command := exec.CommandContext(context.Background(), c.Binary("kubectl"),
				"exec", "--namespace=kube-system", "deployment/coredns", "--", "/coredns", "-version")
			command.Env = []string{
				"KUBECONFIG=" + c.Kubeconfig(), "HOME=/nonexistent", "KUBECACHEDIR=" + c.Path("kubectl-cache"),
				"KUBECTL_REMOTE_COMMAND_WEBSOCKETS=" + webSockets,
			}
			output, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v: %s", name, err, output)
			}
			if !strings.Contains(string(output), "CoreDNS-") {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("%s: the output of %d of %d commands was lost", name, lost, times)
		}
	}
}
