package cluster

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/host"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// TestUpCrashUpDown runs a whole cluster, which takes minutes, or many more when
// nothing is in the cache yet; it also needs a machine without one. So it must
// be asked for.
func TestUpCrashUpDown(t *testing.T) {
	const wanted = "MAILRELAY_CLUSTER_TEST"
	if os.Getenv(wanted) == "" {
		t.Skip("set " + wanted + "=1 to run a cluster")
	}
	ctx := context.Background()
	dir, err := os.MkdirTemp("/var/tmp", "mrc")
	if err != nil {
		t.Fatal(err)
	}
	place, err := layout.New(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = New(place, os.Stdout).Down(ctx) })
	must := func(step string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	must("up", New(place, os.Stdout).Up(ctx, UpOptions{CertManager: true}))
	var out bytes.Buffer
	must("status", New(place, &out).Status(ctx))
	if strings.Contains(out.String(), "not healthy") {
		t.Errorf("status:\n%s", out.String())
	}
	c := New(place, os.Stdout)
	checkExec(t, c)
	etcd, _, err := c.records.Read("etcd")
	must("read the record of etcd", err)
	must("kill etcd", process.Stop(etcd.Identity, 0))
	if err := New(place, &out).Status(ctx); err == nil {
		t.Error("a cluster without its database is well")
	}
	must("up after a crash", New(place, os.Stdout).Up(ctx, UpOptions{}))
	records, err := c.records.All()
	must("read the records", err)
	must("down", New(place, os.Stdout).Down(ctx))
	checkNothingLeft(t, place, records)
}

func checkNothingLeft(t *testing.T, place layout.Layout, records []process.Record) {
	t.Helper()
	for _, record := range records {
		if record.Alive() {
			t.Errorf("%s still runs", record.Name)
		}
	}
	if owner, err := host.NetworkOwner(); owner != "" || err != nil {
		t.Errorf("the network is left: %q, %v", owner, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(place.Dir)) {
		t.Errorf("a mount is left: %v", err)
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/" + layout.Cgroup)
	if err != nil || len(groups) > 0 {
		t.Errorf("control groups are left: %v, %v", groups, err)
	}
	if _, err := os.Stat(place.Dir); err == nil {
		t.Errorf("%s is left", place.Dir)
	}
}
