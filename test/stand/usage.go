package stand

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of times in /proc: USER_HZ, the same on all of Linux.
const tick = 10 * time.Millisecond

// Usage is what a process and those below it use.
type Usage struct {
	// CPU time so far, of processes that have ended and were waited for as well.
	CPU time.Duration
	// Memory in bytes: pages that processes share are counted once (PSS).
	Memory int64
}

// UsageOf measures the tree of processes under pid.
func UsageOf(pid int) (Usage, error) {
	stats, err := processes()
	if err != nil {
		return Usage{}, err
	}
	if _, ok := stats[pid]; !ok {
		return Usage{}, fmt.Errorf("process %d has ended", pid)
	}
	var u Usage
	for id := range stats {
		if !stats.below(id, pid) {
			continue
		}
		u.CPU += stats[id].cpu
		// One that ends meanwhile has no memory any more.
		u.Memory += memory(id)
	}
	return u, nil
}

// process is what /proc/PID/stat tells.
type process struct {
	parent int
	cpu    time.Duration
}

type table map[int]process

func (t table) below(pid, root int) bool {
	for pid != root {
		p, ok := t[pid]
		if !ok {
			return false
		}
		pid = p.parent
	}
	return true
}

func processes() (table, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	t := make(table, len(paths))
	for _, path := range paths {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if stat, err := os.ReadFile(path); err == nil {
			t[pid] = parseStat(stat)
		}
	}
	return t, nil
}

// parseStat reads proc_pid_stat(5). The name of the program may hold anything, so fields count
// from the last parenthesis.
func parseStat(stat []byte) process {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	number := func(field int) int {
		n, _ := strconv.Atoi(string(fields[field-3]))
		return n
	}
	const ppid, utime, cstime = 4, 14, 17
	p := process{parent: number(ppid)}
	for field := utime; field <= cstime; field++ {
		p.cpu += time.Duration(number(field)) * tick
	}
	return p
}

// memory is the proportional set size of a process in bytes.
func memory(pid int) int64 {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(rollup, []byte("\nPss:"))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kibibytes, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kibibytes << 10
}
