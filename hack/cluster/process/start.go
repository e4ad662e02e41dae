package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Spec is a process to start.
type Spec struct {
	// Name is the component's.
	Name string
	// Command is the program, as an absolute path, and its arguments.
	Command []string
	// Env is added to a PATH and HOME; nothing else is inherited.
	Env []string
}

// Launcher starts processes inside a network namespace.
type Launcher struct {
	// Namespace is the file that the network namespace is bound to.
	Namespace string
	// Records remembers what was started.
	Records Records
	// Log gives the file for a component's output.
	Log func(name string) string
	// Join moves a started process into the cluster's control group.
	Join func(pid int) error
}

// Start runs spec in a session of its own and records it.
func (l Launcher) Start(spec Spec) error {
	path := l.Log(spec.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the directory of logs: %w", err)
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", spec.Name, err)
	}
	defer log.Close()

	// nsenter becomes the program, so the number of the one is the other's. It
	// leaves mounts alone, unlike "ip netns exec", which would hide the cgroups.
	//nolint:noctx // the process outlives this command: no context ends it
	command := exec.Command("nsenter", append([]string{"--net=" + l.Namespace}, spec.Command...)...)
	command.Env = environment(spec.Env)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	// Reaped here while this command lives, by init afterwards.
	go func() { _ = command.Wait() }()

	identity, err := Identify(command.Process.Pid)
	if err != nil {
		return fmt.Errorf("%s ended at once (%w); its log is %s", spec.Name, err, path)
	}
	err = l.Records.Write(Record{Name: spec.Name, Identity: identity, Command: spec.Command, Log: path})
	if err != nil {
		_ = command.Process.Kill()
		return err
	}
	return l.Join(identity.PID)
}

// environment leaves out the caller's own variables: a proxy or a debug setting
// of the caller's shell would change how the cluster behaves.
func environment(extra []string) []string {
	env := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
	}
	return append(env, extra...)
}

// Tail returns the last lines of a log, for an error message.
func Tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
