package stand

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestStatIsReadWhateverTheProgramIsCalled(t *testing.T) {
	t.Parallel()
	stat := "42 (a) S (b) S 7 42 42 0 -1 4194304 100 200 0 0 11 22 33 44 20 0 1 0 100 0 0\n"
	if got, want := parseStat([]byte(stat)), (process{parent: 7, cpu: 1100 * time.Millisecond}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestUsageCoversTheProcessesBelow(t *testing.T) {
	t.Parallel()
	child := exec.Command("sh", "-c", "while :; do :; done")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		own, err := UsageOf(child.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		all, err := UsageOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if own.CPU >= 50*time.Millisecond && own.Memory > 0 && all.CPU >= own.CPU && all.Memory > own.Memory {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("child %+v, all %+v", own, all)
		}
	}
}
