package main

import (
	"errors"
	"flag"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/cluster"
)

func up(i invocation) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.SetOutput(i.stderr)
	without := flags.Bool("without-cert-manager", false, "leave cert-manager out; it can be installed later")
	if err := flags.Parse(i.args); err != nil {
		return err
	}
	i.args = flags.Args()
	if err := i.noArguments(); err != nil {
		return err
	}
	return cluster.Exclusive(i.ctx, func() error {
		return i.cluster().Up(i.ctx, cluster.UpOptions{CertManager: !*without})
	})
}

func down(i invocation) error {
	if err := i.noArguments(); err != nil {
		return err
	}
	return cluster.Exclusive(i.ctx, func() error { return i.cluster().Down(i.ctx) })
}

func status(i invocation) error {
	if err := i.noArguments(); err != nil {
		return err
	}
	return i.cluster().Status(i.ctx)
}

func load(i invocation) error {
	return i.cluster().Load(i.ctx, i.args...)
}

func certManager(i invocation) error {
	if len(i.args) != 1 {
		return errors.New("say what to do with cert-manager: install or remove")
	}
	switch i.args[0] {
	case "install":
		return cluster.Exclusive(i.ctx, func() error { return i.cluster().InstallCertManager(i.ctx) })
	case "remove":
		return cluster.Exclusive(i.ctx, func() error { return i.cluster().RemoveCertManager(i.ctx) })
	default:
		return errors.New("cert-manager can be told to install or to remove, nothing else")
	}
}

func buildAll(i invocation) error {
	if err := i.noArguments(); err != nil {
		return err
	}
	return i.cluster().Build(i.ctx)
}

// assets prints nothing but the directory, so that a script can use it.
func assets(i invocation) error {
	if err := i.noArguments(); err != nil {
		return err
	}
	dir, err := cluster.New(i.place, i.stderr).Assets(i.ctx)
	if err != nil {
		return err
	}
	return i.print(dir)
}
