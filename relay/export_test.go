package relay

import "github.com/cockroachdb/pebble/v2/vfs"

// WithFS returns the options with another file system for the spool.
func WithFS(o Options, fs vfs.FS) Options {
	o.fs = fs
	return o
}
