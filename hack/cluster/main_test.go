package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

func runCommand(args ...string) (stdout, stderr string, err error) {
	var out, progress bytes.Buffer
	err = run(context.Background(), args, &out, &progress)
	return out.String(), progress.String(), err
}

func TestPathsArePrintedForScripts(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		"kubectl-path":    "/cache/bin/kubectl\n",
		"kubeconfig-path": "/dir/kubeconfig\n",
	} {
		stdout, _, err := runCommand("--dir", "/dir", "--cache", "/cache", command)
		if err != nil || stdout != want {
			t.Errorf("%s = %q, %v, want %q", command, stdout, err, want)
		}
	}
}

func TestWrongUseIsExplained(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no command", nil, "no command"},
		{"unknown command", []string{"start"}, `no command "start"`},
		{"flag after the command", []string{"down", "--dir=/x"}, "flags stand before the command"},
		{"argument to up", []string{"up", "please"}, "takes no argument"},
		{"argument to a path", []string{"kubectl-path", "x"}, "takes no argument"},
		{"unknown flag", []string{"--directory=/x", "up"}, "not defined"},
		{"half a command", []string{"cert-manager"}, "install or remove"},
		{"nothing to load", []string{"--dir", "/nonexistent", "load"}, "no archive"},
		{"a directory too long", []string{"--dir", "/" + strings.Repeat("d", 100), "up"}, "shorter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := runCommand(tt.args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	t.Parallel()
	_, stderr, _ := runCommand("--help")
	for name := range commands {
		if !strings.Contains(stderr, "\n  "+name+" ") {
			t.Errorf("the help does not name %s", name)
		}
	}
}
