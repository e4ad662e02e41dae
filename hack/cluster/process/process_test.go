package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestStartTicks(t *testing.T) {
	t.Parallel()
	rest := " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20"
	tests := []struct {
		name, stat string
		want       uint64
		err        bool
	}{
		{"plain", "10 (etcd)" + rest, 4711, false},
		{"name with spaces and parentheses", "10 (a) R (b c)" + rest, 4711, false},
		{"zombie", "10 (etcd)" + strings.Replace(rest, "S", "Z", 1), 0, true},
		{"too short", "10 (etcd) S 1 2", 0, true},
		{"no name", "10 20", 0, true},
		{"no number", "10 (etcd)" + strings.Replace(rest, "4711", "soon", 1), 0, true},
		{"empty", "", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := startTicks(tt.stat)
			if got != tt.want || (err != nil) != tt.err {
				t.Errorf("startTicks() = %d, %v", got, err)
			}
		})
	}
}

func TestAliveIsTrueForThisProcessOnly(t *testing.T) {
	t.Parallel()
	self, err := Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !self.Alive() {
		t.Error("this process is said to be dead")
	}
	reused := self
	reused.StartTicks++
	if reused.Alive() {
		t.Error("another process that got the number is taken for the recorded one")
	}
	earlier := self
	earlier.Boot = "another"
	if earlier.Alive() {
		t.Error("a process of an earlier boot is said to be alive")
	}
	if (Identity{}).Alive() {
		t.Error("no process is said to be alive")
	}
}

func TestIdentifyFailsForAProcessThatIsNot(t *testing.T) {
	t.Parallel()
	child := exec.Command("true")
	if err := child.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := Identify(child.Process.Pid); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error = %v, want that it does not exist", err)
	}
}

func startChild(t *testing.T, script string) Identity {
	t.Helper()
	child := exec.Command("sh", "-c", script)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill() })
	// The line says that the script has set its trap.
	if _, err := stdout.Read(make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	go func() { _ = child.Wait() }()
	identity, err := Identify(child.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func TestStopEndsAProcessThatListens(t *testing.T) {
	t.Parallel()
	identity := startChild(t, "echo ready; exec sleep 60")
	if err := Stop(identity, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if identity.Alive() {
		t.Error("the process still runs")
	}
}

func TestStopKillsAProcessThatDoesNotListen(t *testing.T) {
	t.Parallel()
	identity := startChild(t, "trap '' TERM; echo ready; while :; do sleep 0.1; done")
	if err := Stop(identity, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if identity.Alive() {
		t.Error("the process still runs")
	}
}

func TestStopSparesAProcessWithTheSameNumber(t *testing.T) {
	t.Parallel()
	identity := startChild(t, "echo ready; exec sleep 60")
	recorded := identity
	recorded.StartTicks--
	if err := Stop(recorded, time.Second); err != nil {
		t.Fatal(err)
	}
	if !identity.Alive() {
		t.Error("a process was ended that was never recorded")
	}
}

func TestRecordsAreReadBack(t *testing.T) {
	t.Parallel()
	records := Records{Dir: filepath.Join(t.TempDir(), "run")}
	want := []Record{
		{Name: "apiserver", Identity: Identity{PID: 2, StartTicks: 9, Boot: "b"}, Command: []string{"/x", "--y"}, Log: "/l"},
		{Name: "etcd", Identity: Identity{PID: 1, StartTicks: 8, Boot: "b"}},
	}
	for _, record := range want {
		if err := records.Write(record); err != nil {
			t.Fatal(err)
		}
	}
	got, err := records.All()
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("All() = %+v, %v", got, err)
	}
	if err := records.Forget("etcd"); err != nil {
		t.Fatal(err)
	}
	if err := records.Forget("etcd"); err != nil {
		t.Errorf("forgetting twice: %v", err)
	}
	if _, found, err := records.Read("etcd"); found || err != nil {
		t.Errorf("Read() of a forgotten record = %v, %v", found, err)
	}
}

func TestABrokenRecordIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "etcd.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Records{Dir: dir}).All(); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("error = %v, want one that names etcd", err)
	}
}

func TestTailReturnsTheLastLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("a\nb\nc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for lines, want := range map[int]string{1: "c", 2: "b\nc", 9: "a\nb\nc"} {
		if got := Tail(path, lines); got != want {
			t.Errorf("Tail(%d) = %q, want %q", lines, got, want)
		}
	}
	if got := Tail(path+".no", 3); got != "" {
		t.Errorf("Tail of no file = %q", got)
	}
}

func TestEnvironmentKeepsTheCallersVariablesOut(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://proxy.invalid")
	env := environment([]string{"A=b"})
	for _, variable := range env {
		if strings.HasPrefix(variable, "HTTPS_PROXY") {
			t.Errorf("environment holds %s", variable)
		}
	}
	if env[len(env)-1] != "A=b" {
		t.Errorf("environment = %v, want A=b at its end", env)
	}
}
