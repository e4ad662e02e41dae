package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// needs maps a Debian package to a file that shows that it is there, so that
// the usual run asks the package manager nothing.
var needs = map[string]string{
	"conntrack":                   "/usr/sbin/conntrack",
	"containernetworking-plugins": "/usr/lib/cni/ptp",
	"gcc":                         "/usr/bin/gcc",
	"ipset":                       "/usr/sbin/ipset",
	"iproute2":                    "/bin/ip",
	"iptables":                    "/usr/sbin/iptables",
	"libc6-dev":                   "/usr/include/stdlib.h",
	"libseccomp-dev":              "/usr/include/seccomp.h",
	"nftables":                    "/usr/sbin/nft",
	"pkg-config":                  "/usr/bin/pkg-config",
	"procps":                      "/sbin/sysctl",
	"socat":                       "/usr/bin/socat",
	"util-linux":                  "/usr/bin/nsenter",
}

// InstallPackages installs the Debian packages that are missing and returns
// their names.
func InstallPackages(ctx context.Context) ([]string, error) {
	missing := missingPackages(needs, exists)
	if len(missing) == 0 {
		return nil, nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, fmt.Errorf("this is no Debian: install %s, with the CNI plugins in /usr/lib/cni", strings.Join(missing, ", "))
	}
	if err := run(ctx, "apt-get", "update", "-q"); err != nil {
		return nil, err
	}
	arguments := append([]string{"DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-q", "--no-install-recommends"}, missing...)
	if err := run(ctx, "env", arguments...); err != nil {
		return nil, err
	}
	return missing, nil
}

func missingPackages(needs map[string]string, exists func(path string) bool) []string {
	var missing []string
	for name, path := range needs {
		if !exists(path) {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// RequireRoot fails for everyone but root.
func RequireRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("a node needs namespaces, mounts and control groups: run this as root")
	}
	return nil
}
