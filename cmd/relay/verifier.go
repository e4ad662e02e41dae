package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// longestPassword bounds what is read from standard input.
const longestPassword = 4096

func newVerifierCommand() *cobra.Command {
	var senders []string
	cmd := &cobra.Command{
		Use:   "verifier NAME",
		Short: "Print a user file for a password read from standard input",
		Long: "Reads a password, one line, from standard input and prints a user file with one user.\n" +
			"The file checks the password and cannot be turned back into it.",
		Example: "  relay verifier shop --sender example.com < password.txt > users.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := readPassword(cmd.InOrStdin())
			if err != nil {
				return err
			}
			verifier, err := config.NewVerifier(password)
			if err != nil {
				return fmt.Errorf("make the verifier: %w", err)
			}
			data, err := config.MarshalUserFile(&config.UserFile{
				Version: config.Version,
				Users:   []config.User{{Name: args[0], Passwords: []config.Verifier{verifier}, Senders: senders}},
			})
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(data)
			return err
		},
	}
	cmd.Flags().StringArrayVar(&senders, "sender", nil, "address, domain or *.domain that the user may send as; may be repeated")
	return cmd
}

// readPassword reads one line, with or without its end.
func readPassword(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, longestPassword+1)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if len(line) > longestPassword {
		return "", fmt.Errorf("the password is longer than %d bytes", longestPassword)
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}
