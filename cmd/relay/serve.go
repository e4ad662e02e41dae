package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/mailrelay-dev/mailrelay-operator/relay"
)

func newServeCommand() *cobra.Command {
	var path, format string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the relay",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := new(slog.LevelVar)
			logger, err := newLogger(cmd.ErrOrStderr(), format, level)
			if err != nil {
				return err
			}
			return relay.Serve(cmd.Context(), relay.Options{
				ConfigFile: path, Version: version, Logger: logger, Level: level,
			})
		},
	}
	addConfigFlag(cmd, &path)
	cmd.Flags().StringVar(&format, "log-format", "json", "json or text")
	return cmd
}

func newLogger(w io.Writer, format string, level slog.Leveler) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case "json":
		options.ReplaceAttr = inSeconds
		return slog.New(slog.NewJSONHandler(visible{w}, options)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return nil, fmt.Errorf("--log-format %q is not possible: write json or text", format)
}

// inSeconds names the unit of durations: JSON has them as bare numbers, of nanoseconds.
func inSeconds(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.Float64(a.Key+"_seconds", a.Value.Duration().Seconds())
	}
	return a
}
