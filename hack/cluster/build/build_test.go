package build

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
)

func TestLinkedNameIsWhatGoBuildChooses(t *testing.T) {
	t.Parallel()
	for importPath, want := range map[string]string{
		"go.etcd.io/etcd/server/v3":                       "server",
		"k8s.io/kubernetes/cmd/kubectl":                   "kubectl",
		"github.com/opencontainers/runc":                  "runc",
		"./coredns":                                       "coredns",
		"example.com/cmd/vitess":                          "vitess",
		"github.com/containerd/containerd/v2/cmd/shim-v2": "shim-v2",
	} {
		if got := (Unit{Package: importPath}).linkedName(); got != want {
			t.Errorf("linkedName(%s) = %s, want %s", importPath, got, want)
		}
	}
}

func TestAssetsArePartOfTheNode(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, unit := range Node {
		if names[unit.Binary] {
			t.Errorf("%s is built twice", unit.Binary)
		}
		names[unit.Binary] = true
	}
	for _, unit := range Assets {
		if !names[unit.Binary] {
			t.Errorf("%s is not part of the node", unit.Binary)
		}
	}
}

func TestLinkerFlagsCarryTheVersion(t *testing.T) {
	t.Parallel()
	flags := linkerFlags("v1.37.2")
	for _, want := range []string{"version.gitVersion=v1.37.2", "version.gitMajor=1 ", "version.gitMinor=37"} {
		if !strings.Contains(flags+" ", want) {
			t.Errorf("flags %q lack %q", flags, want)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStampFollowsWhatABinaryIsBuiltFrom(t *testing.T) {
	t.Parallel()
	module := Module{dir: t.TempDir()}
	write(t, filepath.Join(module.dir, "go.mod"), "module a\n")
	write(t, filepath.Join(module.dir, "go.sum"), "")
	write(t, filepath.Join(module.dir, "own", "sub", "a.go"), "package a\n")
	own, other := Unit{Binary: "own", Package: "./own"}, Unit{Binary: "other", Package: "example.com/other"}
	stamp := func(u Unit, flags ...string) string {
		t.Helper()
		s, err := module.stamp(u, flags)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	ownBefore, otherBefore := stamp(own), stamp(other)
	if stamp(own, "-tags=x") == ownBefore {
		t.Error("other flags give the same stamp")
	}
	write(t, filepath.Join(module.dir, "own", "sub", "a_test.go"), "package a\n")
	if stamp(own) != ownBefore {
		t.Error("a test changes the stamp")
	}
	write(t, filepath.Join(module.dir, "own", "sub", "a.go"), "package b\n")
	if stamp(own) == ownBefore {
		t.Error("another source gives the same stamp")
	}
	if stamp(other) != otherBefore {
		t.Error("a source of one program changes the stamp of another")
	}
	write(t, filepath.Join(module.dir, "go.sum"), "x\n")
	if stamp(other) == otherBefore {
		t.Error("other versions give the same stamp")
	}
}

func TestStampNeedsItsSources(t *testing.T) {
	t.Parallel()
	module := Module{dir: t.TempDir()}
	if _, err := module.stamp(Unit{Binary: "x", Package: "./x"}, nil); err == nil {
		t.Error("no error without sources")
	}
}

func TestFreshNeedsBothFileAndStamp(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "binary")
	if err := writeStamp(file, "1"); err != nil {
		t.Fatal(err)
	}
	if fresh(file, "1") {
		t.Error("a file that is not there is fresh")
	}
	write(t, file, "")
	if !fresh(file, "1") || fresh(file, "2") {
		t.Error("the stamp does not decide")
	}
	for range 2 {
		if err := clearStamp(file); err != nil {
			t.Fatal(err)
		}
	}
	if fresh(file, "1") {
		t.Error("a file without a stamp is fresh")
	}
}

func TestCachedBinariesAreNotBuiltAgain(t *testing.T) {
	t.Parallel()
	module, err := FindModule(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	builder := Builder{
		Module: module,
		Layout: layout.Layout{Cache: t.TempDir()},
		Say:    func(format string, _ ...any) { said.WriteString(format) },
	}
	units := []Unit{{Binary: "pause", Package: "./pause"}}
	for range 2 {
		if err := builder.Binaries(context.Background(), units); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Count(said.String(), "building"); got != 1 {
		t.Errorf("built %d times, want once", got)
	}
	if _, err := builder.Fingerprint(units); err != nil {
		t.Error(err)
	}
	if _, err := builder.Fingerprint(Assets); err == nil {
		t.Error("binaries that were never built have a fingerprint")
	}
}

func TestBuildsAtTheSameTimeDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	module, err := FindModule(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	var building, waiting atomic.Int32
	results := make(chan error)
	const builds = 3
	for range builds {
		builder := Builder{Module: module, Layout: layout.Layout{Cache: cache}, Say: func(format string, _ ...any) {
			if strings.Contains(format, "building") {
				building.Add(1)
			} else {
				waiting.Add(1)
			}
		}}
		go func() {
			results <- builder.Binaries(context.Background(), []Unit{{Binary: "pause", Package: "./pause"}})
		}()
	}
	for range builds {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if building.Load() != 1 || waiting.Load() == 0 {
		t.Errorf("%d built and %d said that they wait, want one and the others", building.Load(), waiting.Load())
	}
}

func TestBuildThatWaitsCanBeInterrupted(t *testing.T) {
	t.Parallel()
	builder := Builder{Layout: layout.Layout{Cache: t.TempDir()}, Say: func(string, ...any) {}}
	err := builder.exclusive(context.Background(), func() error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return builder.exclusive(ctx, func() error { return nil })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want that of the context", err)
	}
}

func TestJoinManifestsSeparatesDocuments(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.yaml"), "---\nkind: A\n")
	write(t, filepath.Join(dir, "b.yaml"), "kind: B")
	got, err := joinManifests(filepath.Join(dir, "*.yaml"))
	if want := "---\nkind: A\n---\nkind: B\n"; err != nil || string(got) != want {
		t.Errorf("joinManifests() = %q, %v, want %q", got, err, want)
	}
	if _, err := joinManifests(filepath.Join(dir, "*.json")); err == nil {
		t.Error("no error when nothing matches")
	}
}
