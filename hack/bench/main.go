// Command bench compares the relay with Postfix: on the same machine, in one run, in turns,
// with the same clients in front and the same sink behind. It prints a table and a line for
// each ratio. It needs root and the Debian packages of Postfix; `make bench` sees to both.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options of a run.
type options struct {
	relay       string
	directory   string
	rounds      int
	duration    time.Duration
	connections int
	plaintext   bool
	pipelining  bool
	only        string
	server      string
	cold        bool
	keep        bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	// The clients and the sink are processes of their own, so that their time is known apart.
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case clientsCommand:
			return serveClients()
		case sinkCommand:
			return serveSink()
		}
	}
	var o options
	flag.StringVar(&o.relay, "relay", "bin/relay", "the relay's program")
	flag.StringVar(&o.directory, "directory", "/var/tmp", "where to make the scratch directory; a real disk")
	flag.IntVar(&o.rounds, "rounds", 5, "how often each server gets each load")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long clients submit in a round")
	flag.IntVar(&o.connections, "connections", 20, "clients at the same time")
	flag.BoolVar(&o.plaintext, "plaintext", false, "no TLS between the servers and the sink")
	flag.BoolVar(&o.pipelining, "pipelining", false, "clients send MAIL, RCPT and DATA together")
	flag.StringVar(&o.only, "only", "", "the name of the only load to run")
	flag.StringVar(&o.server, "server", "", "relay or postfix, to measure that one only")
	flag.BoolVar(&o.cold, "cold", false, "clients do not resume TLS sessions")
	flag.BoolVar(&o.keep, "keep", false, "leave the scratch directory, with the logs, where it is")
	flag.Parse()
	if os.Geteuid() != 0 {
		return errors.New("postfix needs root")
	}
	return compare(ctx, o)
}
