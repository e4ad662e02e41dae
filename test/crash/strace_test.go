package crash

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/test/stand"
	"github.com/mailrelay-dev/mailrelay-operator/test/traffic"
)

// call is a system call of the relay: when it began and ended, counted in lines of the trace.
type call struct {
	name, on    string
	began, over int
}

// unfinished is the end of a call that the trace does not show.
const unfinished = 1 << 30

var (
	begun   = regexp.MustCompile(`^(\d+) +(\w+)\(\d+<(.*?)>[,) ]`)
	resumed = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
)

// readTrace reads what strace wrote about calls on files and sockets.
func readTrace(t *testing.T, path string) []*call {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	var calls []*call
	pending := make(map[string]*call) // by thread
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); n++ {
		line := lines.Text()
		if m := resumed.FindStringSubmatch(line); m != nil && pending[m[1]] != nil {
			pending[m[1]].over = n
		}
		m := begun.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		c := &call{name: m[2], on: m[3], began: n, over: n}
		calls = append(calls, c)
		if strings.HasSuffix(line, "<unfinished ...>") {
			c.over = unfinished
			pending[m[1]] = c
		}
	}
	must(t, lines.Err())
	return calls
}

// last returns the last call of a name on what matches that was over before a line.
func last(calls []*call, before int, name, on string) *call {
	pattern := regexp.MustCompile(on)
	var found *call
	for _, c := range calls {
		if c.name == name && c.over < before && pattern.MatchString(c.on) {
			found = c
		}
	}
	return found
}

// TestSyncComesBeforeThe250 looks at the relay from outside: what it asked of the kernel, and
// when, between telling a client to go ahead and telling it 250.
func TestSyncComesBeforeThe250(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed; make crash sees to it")
	}
	const log = `/spool/queue/\d+\.log$`
	for name, test := range map[string]struct {
		size int
		// order are the calls that must follow each other, by name and what they are on.
		order [][2]string
	}{
		"small": {4 << 10, [][2]string{{"write", log}, {"fdatasync", log}}},
		"large": {300 << 10, [][2]string{
			{"write", `/spool/bodies/\w+$`}, {"fsync", `/spool/bodies/\w+$`}, {"fsync", `/spool/bodies$`},
			{"write", log}, {"fdatasync", log},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// No delivery may write to the queue meanwhile: the sink takes no mail.
			s := newStand(t, &traffic.Sink{Answer: func(string) string { return "421 4.3.2 closed" }})
			trace := filepath.Join(t.TempDir(), "trace")
			s.Wrapper = []string{strace, "-D", "-f", "-yy", "-e", "trace=write,fsync,fdatasync", "-o", trace}
			calls, told := submitTraced(t, s, trace, test.size)
			goAhead, done := told[len(told)-2], told[len(told)-1]
			end := done.began
			for i := len(test.order) - 1; i >= 0; i-- {
				want := test.order[i]
				c := last(calls, end, want[0], want[1])
				if c == nil || c.began < goAhead.began {
					t.Fatalf("%v is missing between lines %d and %d", want, goAhead.began, end)
				}
				t.Logf("lines %d to %d: %s of %s", c.began, c.over, c.name, c.on)
				end = c.began
			}
			t.Logf("lines %d to %d: the 250", done.began, done.over)
		})
	}
}

// submitTraced submits one message. It returns all calls of the relay, and the writes to the
// client among them, of which the last is the 250.
func submitTraced(t *testing.T, s *stand.Stand, trace string, size int) (calls, told []*call) {
	t.Helper()
	r, err := s.Start(t.Context())
	must(t, err)
	defer r.Kill()
	c, err := traffic.Dial(t.Context(), s.Target)
	must(t, err)
	defer c.Close()
	must(t, c.Send(traffic.AppendMessage(nil, 1, size)))
	_, port, _ := net.SplitHostPort(c.LocalAddr())
	// The client can have the reply before strace has noted that it is written.
	const replies = 7 // from the greeting on, after those of the handshake
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		calls = readTrace(t, trace)
		told = writesTo(calls, port)
		if len(told) > replies && told[len(told)-1].over < unfinished {
			return calls, told
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %d writes to the client are in the trace", len(told))
		}
	}
}

// writesTo are the writes to the client's socket.
func writesTo(calls []*call, port string) []*call {
	var found []*call
	for _, c := range calls {
		if c.name == "write" && strings.HasSuffix(c.on, fmt.Sprintf(":%s]", port)) {
			found = append(found, c)
		}
	}
	return found
}
