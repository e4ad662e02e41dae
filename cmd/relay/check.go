package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/spool"
)

func newCheckCommand() *cobra.Command {
	var path string
	var probe bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check relay.yaml, all files that it points at, and the directory of the queue",
		Long: "Checks relay.yaml, all files that it points at, and the directory of the queue.\n" +
			"With --probe it also opens a session with each upstream and logs in, without sending\n" +
			"mail. It ends within half a minute, and fails when an upstream cannot be used.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			snapshot, err := config.Load(path)
			if err != nil {
				return err
			}
			problems := append(snapshot.Errors, spool.CheckDirectory(snapshot.Config.Queue.Directory))
			if err := errors.Join(problems...); err != nil {
				return err
			}
			if err := summarise(cmd.OutOrStdout(), snapshot); err != nil || !probe {
				return err
			}
			return probeUpstreams(cmd.Context(), cmd.OutOrStdout(), snapshot)
		},
	}
	addConfigFlag(cmd, &path)
	cmd.Flags().BoolVar(&probe, "probe", false, "try each upstream, the login included")
	return cmd
}

// summarise says what a relay would do with the configuration.
func summarise(w io.Writer, s *config.Snapshot) error {
	c := s.Config
	lines := []string{"ok: " + c.Hostname}
	if !strings.Contains(c.Hostname, ".") {
		lines = append(lines, "note: hostname "+c.Hostname+" has no domain: some providers refuse such a name in EHLO, write a complete one such as mail.example.com")
	}
	lines = append(lines, listener("submissions (implicit TLS)", c.Listeners.Submissions))
	lines = append(lines, listener("submission (STARTTLS)", c.Listeners.Submission))
	for _, certificate := range s.Certificates() {
		lines = append(lines, fmt.Sprintf("certificate: %s, until %s", certificate.Name, certificate.NotAfter.UTC().Format(time.DateOnly)))
	}
	for _, u := range s.Upstreams {
		lines = append(lines, fmt.Sprintf("upstream: %s, %s:%d, tls %s, %s", u.Name, u.Host, u.Port, u.TLS, login(&u.Auth)))
	}
	for _, path := range c.Users.Files {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			lines = append(lines, fmt.Sprintf("user file: %s does not exist, so it holds no users", path))
		}
	}
	if c.Users.Tokens.Enabled() {
		lines = append(lines, tokenIssuer(s))
	}
	lines = append(lines, fmt.Sprintf("users: %d", len(s.Users)), "spool: "+filepath.Clean(c.Queue.Directory))
	return printLines(w, lines)
}

func tokenIssuer(s *config.Snapshot) string {
	if s.TokenKeys == nil {
		return fmt.Sprintf("token keys: %s does not exist, so no signed token can be judged", s.Config.Users.Tokens.KeysFile)
	}
	return fmt.Sprintf("token issuer: %s, %d keys", s.TokenKeys.Issuer, len(s.TokenKeys.Keys))
}

func printLines(w io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

func listener(name string, l config.Listener) string {
	if l.Disabled {
		return "listener: " + name + ", disabled"
	}
	return "listener: " + name + ", " + l.Address
}

// login says what the relay logs in with.
func login(a *config.Auth) string {
	var proofs []string
	if a.PasswordFile != "" {
		proofs = append(proofs, "password from "+a.PasswordFile)
	}
	if a.OAuth2.Enabled() {
		proofs = append(proofs, "tokens from "+a.OAuth2.TokenURL)
	}
	if a.Certificate.CertFile != "" {
		proofs = append(proofs, "certificate from "+a.Certificate.CertFile)
	}
	if len(proofs) == 0 {
		return "no login"
	}
	return "login with " + strings.Join(proofs, " and ")
}
