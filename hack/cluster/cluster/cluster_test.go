package cluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/component"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

func newTestCluster(t *testing.T) *Cluster {
	t.Helper()
	return New(layout.Layout{Dir: filepath.Join(t.TempDir(), "c"), Cache: t.TempDir()}, &bytes.Buffer{})
}

// skipBesideARunningCluster skips what a cluster on this machine would refuse.
func skipBesideARunningCluster(t *testing.T, c *Cluster) {
	t.Helper()
	if err := c.refuseOthers(); err != nil {
		t.Skip(err)
	}
}

func TestClaimMarksAnEmptyDirectory(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	skipBesideARunningCluster(t, c)
	for range 2 {
		if err := c.claim(); err != nil {
			t.Fatal(err)
		}
	}
	if !c.isMarked() {
		t.Error("the directory is not marked")
	}
}

func TestClaimRefusesTheDirectoryOfOthers(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	skipBesideARunningCluster(t, c)
	if err := os.MkdirAll(c.Path("letters"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.claim(); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("error = %v, want advice to choose another --dir", err)
	}
}

func TestDownLeavesADirectoryWithoutMarkerAlone(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	skipBesideARunningCluster(t, c)
	if err := os.MkdirAll(c.Path("letters"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.Down(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.Path("letters")); err != nil {
		t.Errorf("a directory that is no cluster's was emptied: %v", err)
	}
}

func TestEmptyRemovesTheMarkerLast(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	for _, path := range []string{c.Path("a", "b"), c.Path("z")} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(c.Marker(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.empty(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(c.Dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestEveryClientOfTheAPIGetsAKubeconfig(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	if err := c.writeIdentities(); err != nil {
		t.Fatal(err)
	}
	for _, part := range c.components() {
		for _, argument := range part.Command {
			flag, path, _ := strings.Cut(argument, "=")
			if !strings.HasSuffix(flag, "kubeconfig") && !strings.HasPrefix(path, c.Path("pki")) {
				continue
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %s names a file that is not written", part.Name, flag)
			}
		}
	}
	if _, err := os.Stat(c.Kubeconfig()); err != nil {
		t.Error(err)
	}
}

func TestHealthOfAProcess(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	part := component.Component{Spec: process.Spec{Name: "x"}}
	if err := c.healthy(context.Background(), part); err == nil {
		t.Error("what was never started is healthy")
	}
	self, err := process.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.records.Write(process.Record{Name: "x", Identity: self}); err != nil {
		t.Fatal(err)
	}
	if err := c.healthy(context.Background(), part); err != nil {
		t.Errorf("a running process: %v", err)
	}
	self.StartTicks++
	if err := c.records.Write(process.Record{Name: "x", Identity: self}); err != nil {
		t.Fatal(err)
	}
	var dead *deadError
	if err := c.healthy(context.Background(), part); !errors.As(err, &dead) {
		t.Errorf("an ended process: %v", err)
	}
}

func TestWaitingEndsWithAProcess(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "x.log")
	if err := os.WriteFile(log, []byte("bind: address in use\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	err := eventually(context.Background(), "x well", func(context.Context) error {
		return &deadError{process.Record{Name: "x", Log: log}}
	})
	if err == nil || !strings.Contains(err.Error(), "address in use") {
		t.Errorf("error = %v, want the end of the log", err)
	}
	if time.Since(began) > patience/2 {
		t.Error("waited for a process that had ended")
	}
}

func TestUnchangedComparesFlagsAndFiles(t *testing.T) {
	t.Parallel()
	c := newTestCluster(t)
	part := component.Proxy(c.Layout)
	if err := part.Configure(c.Layout); err != nil {
		t.Fatal(err)
	}
	if err := c.records.Write(process.Record{Name: part.Name, Command: part.Command}); err != nil {
		t.Fatal(err)
	}
	if err := c.unchanged(part); err != nil {
		t.Errorf("nothing changed: %v", err)
	}
	flags := part
	flags.Command = append([]string{}, part.Command...)
	flags.Command[0] = "/other"
	if err := c.unchanged(flags); err == nil {
		t.Error("another command is not noticed")
	}
	for path := range part.Files {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.unchanged(part); err == nil {
		t.Error("another configuration is not noticed")
	}
}

func TestRowStates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		row  row
		want string
	}{
		{row{}, "healthy"},
		{row{problem: errors.New("x"), optional: true}, "not installed"},
		{row{problem: &deadError{}}, "ended"},
		{row{problem: errors.New("refused")}, "not healthy: refused"},
	}
	for _, tt := range tests {
		if got := tt.row.state(); got != tt.want {
			t.Errorf("state() = %q, want %q", got, tt.want)
		}
	}
}

func TestRowsAreAligned(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	rows := []row{{name: "etcd", pid: "1", log: "/l"}, {name: "kube-apiserver", pid: "12345", log: "/m"}}
	if err := printRows(&out, rows); err != nil {
		t.Fatal(err)
	}
	want := "COMPONENT       PID    STATE    LOG\n" +
		"etcd            1      healthy  /l\n" +
		"kube-apiserver  12345  healthy  /m\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestNoUserIsMoreThanItMustBe(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"kubelet", "kube-proxy", "kube-scheduler", "kube-controller-manager"} {
		for _, group := range users[name].Groups {
			if group == administrators {
				t.Errorf("%s may do everything", name)
			}
		}
	}
}
