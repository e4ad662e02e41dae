package crash

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/test/stand"
	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// output is what a process says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// mounting runs a relay with mounts of its own, which the script makes: $1 is the spool.
func mounting(t *testing.T, s *stand.Stand, script string) {
	t.Helper()
	if out, err := exec.Command("unshare", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("this needs the right to mount, run \"make crash\" as root: %v %s", err, out)
	}
	s.Wrapper = []string{"unshare", "--mount", "sh", "-ec", script + `; shift; exec "$@"`, "sh", s.Spool()}
}

const readOnly = `mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"`

// TestSpoolThatCannotBeUsedEndsTheRelay starts the program on spools that it must not take, and
// wants to be told what to do.
func TestSpoolThatCannotBeUsedEndsTheRelay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		damage func(t *testing.T, s *stand.Stand)
		want   string
	}{
		"missing": {
			func(t *testing.T, s *stand.Stand) { must(t, os.RemoveAll(s.Spool())) },
			"does not exist: create it, or mount its volume",
		},
		"read-only": {
			func(t *testing.T, s *stand.Stand) { mounting(t, s, readOnly) },
			"is on a read-only file system: mount it writable",
		},
		"used by another process": {
			func(t *testing.T, s *stand.Stand) {
				other := newStand(t, &traffic.Sink{})
				must(t, os.Remove(other.Spool()))
				must(t, os.Symlink(s.Spool(), other.Spool()))
				r, err := other.Start(t.Context())
				must(t, err)
				t.Cleanup(r.Kill)
			},
			"is in use by another relay: stop it, or give each a directory of its own",
		},
		"of a newer format": {
			func(t *testing.T, s *stand.Stand) {
				must(t, os.WriteFile(filepath.Join(s.Spool(), "format"), []byte("1000\n"), 0o600))
			},
			"its format is 1000, this relay knows up to 1: run the newer version that wrote it",
		},
		"without its queue": {
			func(t *testing.T, s *stand.Stand) {
				r, err := s.Start(t.Context())
				must(t, err)
				must(t, r.Stop())
				must(t, os.RemoveAll(filepath.Join(s.Spool(), "queue")))
			},
			"has lost its queue: restore the spool, or start with an empty directory",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := &output{}
			s := newStand(t, &traffic.Sink{})
			test.damage(t, s)
			s.Log = said
			r, err := s.Launch()
			must(t, err)
			t.Cleanup(r.Kill)
			select {
			case <-r.Done():
			case <-time.After(20 * time.Second):
				t.Fatal("the relay goes on")
			}
			if !strings.Contains(said.String(), test.want) || strings.Contains(said.String(), "goroutine ") {
				t.Errorf("the relay said %s\nwant in it: %s", said, test.want)
			}
		})
	}
}

// TestFullDiskRefusesNewMailOnly fills a small disk with mail that waits. New mail must then be
// refused before its content, what waits must go once the upstream is back, and new mail be
// taken again after that.
func TestFullDiskRefusesNewMailOnly(t *testing.T) {
	t.Parallel()
	const lowSpace, diskSize, size = 16 << 20, 64 << 20, 200 << 10
	var open atomic.Bool
	book := newLedger()
	s := newStand(t, &traffic.Sink{
		Message: book.deliver,
		Answer: func(verb string) string {
			if verb == "GREETING" && !open.Load() {
				return "421 4.3.2 closed"
			}
			return ""
		},
	}, func(c *config.Config) { c.Queue.LowSpace = lowSpace })
	mounting(t, s, fmt.Sprintf(`mount -t tmpfs -o size=%d tmpfs "$1"`, diskSize))
	r, err := s.Start(t.Context())
	must(t, err)
	t.Cleanup(r.Kill)

	number, refused := uint64(0), ""
	for ; refused != "MAIL"; number++ {
		// Where the disk runs low in the middle of a message, that one is refused at its end.
		if refused = submit(t, s, number, size); refused == "" {
			book.accept(number)
		}
		if number > diskSize/size {
			t.Fatalf("%d messages of %d KiB fit on a disk of %d MiB", number, size>>10, diskSize>>20)
		}
	}
	t.Logf("MAIL is refused after %d messages of %d KiB", len(book.accepted), size>>10)

	open.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, r.Drained(ctx))
	for submit(t, s, number, size) != "" {
		if ctx.Err() != nil {
			t.Fatal("new mail is refused although the disk has room again")
		}
		time.Sleep(100 * time.Millisecond)
	}
	book.accept(number)
	must(t, r.Drained(ctx))
	book.check(t)
}

// submit submits a message. It returns the command that was refused for want of space, empty
// when none was.
func submit(t *testing.T, s *stand.Stand, number uint64, size int) (refused string) {
	t.Helper()
	conn, err := tls.Dial("tcp", s.Target.Address, s.Target.TLS)
	must(t, err)
	c, err := smtp.NewClient(conn, stand.Hostname)
	must(t, err)
	defer c.Close()
	must(t, c.Auth(smtp.PlainAuth("", s.Target.User, s.Target.Password, stand.Hostname)))
	if wantsSpace(t, c.Mail(traffic.Sender)) {
		return "MAIL"
	}
	must(t, c.Rcpt(traffic.Recipient))
	w, err := c.Data()
	must(t, err)
	_, err = w.Write(traffic.AppendMessage(nil, number, size))
	must(t, err)
	if wantsSpace(t, w.Close()) {
		return "DATA"
	}
	return ""
}

// wantsSpace reports whether a client was told 452 4.3.1.
func wantsSpace(t *testing.T, err error) bool {
	t.Helper()
	var reply *textproto.Error
	if errors.As(err, &reply) && reply.Code == 452 && strings.HasPrefix(reply.Msg, "4.3.1 ") {
		return true
	}
	must(t, err)
	return false
}
