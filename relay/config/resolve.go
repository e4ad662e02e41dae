package config

import "path/filepath"

// resolve makes every path of the configuration relative to base, as the paths in
// relay.yaml are relative to the directory it lies in.
func (c *Config) resolve(base string) {
	for _, path := range append(c.filePaths(), &c.Queue.Directory) {
		switch {
		case *path == "":
		case filepath.IsAbs(*path):
			*path = filepath.Clean(*path)
		default:
			*path = filepath.Join(base, *path)
		}
	}
}

// files are the files that the configuration points at.
func (c *Config) files() []string {
	var files []string
	for _, path := range c.filePaths() {
		if *path != "" {
			files = append(files, *path)
		}
	}
	return files
}

func (c *Config) filePaths() []*string {
	paths := []*string{
		&c.TLS.Internal.CertFile, &c.TLS.Internal.KeyFile,
		&c.TLS.External.CertFile, &c.TLS.External.KeyFile,
		&c.TLS.ClientCAFile, &c.Admin.StatusClientCAFile, &c.Users.Tokens.KeysFile,
	}
	for i := range c.Users.Files {
		paths = append(paths, &c.Users.Files[i])
	}
	for i := range c.DKIM {
		paths = append(paths, &c.DKIM[i].KeyFile)
	}
	for i := range c.Upstreams {
		u := &c.Upstreams[i]
		paths = append(paths, &u.CAFile)
		paths = append(paths, u.Auth.filePaths()...)
	}
	return paths
}
