package host

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// UnmountBelow unmounts everything mounted below dir, the latest first.
func UnmountBelow(dir string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("list the mounts: %w", err)
	}
	var failures []error
	for _, target := range mountsBelow(string(data), dir) {
		// Detached: a reader of ours elsewhere must not keep the cluster up.
		err := unix.Unmount(target, unix.MNT_DETACH)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			failures = append(failures, fmt.Errorf("unmount %s: %w", target, err))
		}
	}
	return errors.Join(failures...)
}

// mountsBelow finds the mount points below dir in the text of mountinfo.
func mountsBelow(mountinfo, dir string) []string {
	const mountPoint = 4
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var targets []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		if len(fields) <= mountPoint {
			continue
		}
		target := unescape.Replace(fields[mountPoint])
		if strings.HasPrefix(target, dir+"/") {
			targets = append(targets, target)
		}
	}
	slices.Reverse(targets)
	return targets
}
