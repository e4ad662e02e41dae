package main

import (
	"context"
	_ "embed" // the instance's configuration
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

var (
	//go:embed postfix/main.cf
	mainCF string
	//go:embed postfix/master.cf
	masterCF string
)

const postfixName = "postfix.test"

// postfix is an instance of its own, apart from one that the machine may have.
type postfix struct {
	directory string
	// master is the process that all others of the instance are below.
	master *exec.Cmd
	target traffic.Target
}

// newPostfix fills a directory with an instance that relays to the sink.
func newPostfix(ctx context.Context, directory string, ca *traffic.Authority, target traffic.Target, sink string, plaintext bool) (*postfix, error) {
	p := &postfix{directory: directory, target: target}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p.target.Address = "127.0.0.1:" + port
	certificate, err := ca.Server(postfixName)
	if err != nil {
		return nil, err
	}
	key, err := traffic.KeyPEM(certificate)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string]string{
		"etc/main.cf":         mainCF + p.settings(sink, plaintext),
		"etc/master.cf":       strings.ReplaceAll(masterCF, "@PORT@", port),
		"etc/tls.pem":         string(key) + string(traffic.CertificatePEM(certificate.Leaf)),
		"etc/sasl/smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN\nsasldb_path: " + p.path("etc/sasl/users") + "\n",
	} {
		if err := os.MkdirAll(filepath.Dir(p.path(name)), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(p.path(name), []byte(content), 0o644); err != nil {
			return nil, err
		}
	}
	return p, p.own(ctx)
}

// settings are what belongs to this run of the instance.
func (p *postfix) settings(sink string, plaintext bool) string {
	host, port, _ := net.SplitHostPort(sink)
	lines := []string{
		"", "# Of this run.",
		"queue_directory = " + p.path("queue"),
		"data_directory = " + p.path("data"),
		"maillog_file_prefixes = " + p.directory,
		"maillog_file = " + p.path("log/maillog"),
		"smtpd_sasl_local_domain = " + postfixName,
		"smtpd_tls_chain_files = " + p.path("etc/tls.pem"),
		fmt.Sprintf("relayhost = [%s]:%s", host, port),
		"smtp_connection_cache_destinations = $relayhost",
		"",
	}
	if !plaintext {
		lines = append(lines, "smtp_tls_security_level = encrypt", "smtp_tls_wrappermode = yes", "")
	}
	return strings.Join(lines, "\n")
}

func (p *postfix) path(name string) string { return filepath.Join(p.directory, name) }

// own makes the directories and the user that the instance needs.
func (p *postfix) own(ctx context.Context) error {
	account, err := user.Lookup("postfix")
	if err != nil {
		return fmt.Errorf("is the package postfix installed? %w", err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	for _, directory := range []string{"queue", "data", "log"} {
		if err := os.MkdirAll(p.path(directory), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chown(p.path("data"), uid, -1); err != nil {
		return err
	}
	name, _, _ := strings.Cut(p.target.User, "@")
	password := exec.CommandContext(ctx, "saslpasswd2", "-p", "-c", "-f", p.path("etc/sasl/users"), "-u", postfixName, name)
	password.Stdin = strings.NewReader(p.target.Password)
	if out, err := password.CombinedOutput(); err != nil {
		return fmt.Errorf("is the package sasl2-bin installed? %w\n%s", err, out)
	}
	return os.Chown(p.path("etc/sasl/users"), uid, -1)
}

// start runs the instance until stop, which a context that ends must not forestall: the script
// alone would end, and not what it started.
func (p *postfix) start(ctx context.Context) error {
	p.master = exec.CommandContext(context.WithoutCancel(ctx), "postfix", "-c", p.path("etc"), "start-fg")
	p.master.Stderr = os.Stderr
	if err := p.master.Start(); err != nil {
		return err
	}
	for range 100 {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.target.Address)
		if err == nil {
			conn.Close()
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("postfix does not listen on %s: see %s", p.target.Address, p.path("log/maillog"))
}

// stop ends the instance by its own pid file, in which no other process can be.
func (p *postfix) stop() {
	if p.master == nil {
		return
	}
	_ = exec.CommandContext(context.Background(), "postfix", "-c", p.path("etc"), "stop").Run()
	_ = p.master.Wait()
}

func (p *postfix) pid() int { return p.master.Process.Pid }

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
