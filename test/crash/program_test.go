package crash

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/test/stand"
	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

var (
	rounds    = flag.Int("rounds", 10, "how often the relay is killed")
	program   = flag.String("relay", "", "the relay's program; this test serves as one when empty")
	directory = flag.String("directory", "", "where the spool is made; a real disk")
)

// serve makes this program the relay: "program serve --config relay.yaml".
const serve = "MAILRELAY_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serve) == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := relay.Serve(ctx, relay.Options{ConfigFile: os.Args[3], Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// connections to the sink that the relay may have.
const connections = 8

// newStand makes a relay's directory on the disk, with a sink behind it.
func newStand(t *testing.T, sink *traffic.Sink, changes ...func(*config.Config)) *stand.Stand {
	t.Helper()
	ca, err := traffic.NewAuthority()
	must(t, err)
	certificate, err := ca.Server("sink.test")
	must(t, err)
	sink.TLS = traffic.ServerTLS(certificate)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	sink.Serve(l)
	t.Cleanup(sink.Close)
	o := stand.Options{
		Directory: makeDirectory(t), Program: *program, Authority: ca, Sink: l.Addr().String(),
		Change: func(c *config.Config) {
			c.Upstreams[0].Limits.Connections = connections
			for _, change := range changes {
				change(c)
			}
		},
	}
	if o.Program == "" {
		o.Program, err = os.Executable()
		must(t, err)
		o.Environment = []string{serve + "=1"}
	} else {
		o.Program, err = filepath.Abs(o.Program)
		must(t, err)
	}
	s, err := stand.New(o)
	must(t, err)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	must(t, err)
	s.Log = log
	t.Cleanup(func() {
		if t.Failed() {
			tail(t, log)
		}
		_ = log.Close()
	})
	return s
}

// makeDirectory is one that the end of the test removes. Kills show nothing in memory that they
// would not show on a disk, but syncs do.
func makeDirectory(t *testing.T) string {
	t.Helper()
	const tmpfs = 0x01021994
	path, err := os.MkdirTemp(*directory, "mailrelay-crash-")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	var fs syscall.Statfs_t
	must(t, syscall.Statfs(path, &fs))
	if fs.Type == tmpfs {
		t.Logf("%s is in memory: name a directory on a disk by -directory", path)
	}
	return path
}

// tail shows the end of a log.
func tail(t *testing.T, log *os.File) {
	const length = 8 << 10
	end, _ := log.Seek(0, io.SeekEnd)
	text := make([]byte, min(end, length))
	_, _ = log.ReadAt(text, end-int64(len(text)))
	t.Logf("the end of the relay's log:\n%s", text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
