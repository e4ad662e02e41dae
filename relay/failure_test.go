package relay_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/mailrelay-dev/mailrelay-operator/relay"
)

// brokenDisk fails every sync once it is broken.
type brokenDisk struct{ broken atomic.Bool }

func (d *brokenDisk) String() string { return "broken disk" }

func (d *brokenDisk) MaybeError(op errorfs.Op) error {
	if d.broken.Load() && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo) {
		return syscall.EIO
	}
	return nil
}

func TestFailedDiskEndsTheRelayAndAcceptsNothing(t *testing.T) {
	t.Parallel()
	disk := &brokenDisk{}
	u := newUpstream(t)
	r := newSite(t, u).startWith(relay.WithFS(relay.Options{}, errorfs.Wrap(vfs.Default, disk)))
	c := r.dial(t, "submissions")
	if err := r.login(c, "app.shop", r.site.password); err != nil {
		t.Fatal(err)
	}
	disk.broken.Store(true)
	if err := send(c, body("lost")); err == nil {
		t.Error("a message was accepted that is not on the disk")
	}
	select {
	case err := <-r.done:
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "the spool failed") {
			t.Errorf("Serve = %v, want the error of the disk", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the relay goes on with a failed disk")
	}
}
