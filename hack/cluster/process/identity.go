// Package process starts processes that outlive the command that started them,
// remembers which they are, and ends those and no others.
package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Identity tells a process from any later one that gets the same number.
type Identity struct {
	// PID is the process's number.
	PID int `json:"pid"`
	// StartTicks is the time of its start in clock ticks since the boot.
	StartTicks uint64 `json:"startTicks"`
	// Boot is the kernel's random identifier of that boot.
	Boot string `json:"boot"`
}

// errZombie is the state of a process that has ended and waits to be reaped.
var errZombie = errors.New("the process has ended")

// Identify reads the identity of the running process with this number.
func Identify(pid int) (Identity, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Identity{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	ticks, err := startTicks(string(stat))
	if err != nil {
		return Identity{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Identity{}, fmt.Errorf("read the boot's identifier: %w", err)
	}
	return Identity{PID: pid, StartTicks: ticks, Boot: strings.TrimSpace(string(boot))}, nil
}

// Alive reports whether this very process still runs.
func (i Identity) Alive() bool {
	if i.PID <= 0 {
		return false
	}
	now, err := Identify(i.PID)
	return err == nil && now == i
}

// startTicks finds the 22nd field of a stat line. The command's name, the
// second field, may itself hold spaces and parentheses.
func startTicks(stat string) (uint64, error) {
	_, after, found := cutLast(stat, ")")
	fields := strings.Fields(after)
	const state, start = 0, 19
	if !found || len(fields) <= start {
		return 0, fmt.Errorf("stat line %q is too short", stat)
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return 0, errZombie
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the start time: %w", err)
	}
	return ticks, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
