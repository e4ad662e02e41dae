package sasl

import (
	"crypto/rand"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// TestFailuresTakeTheSameTime compares the processor time of failures that take turns, and
// of each user the lower quartile: what else the machine does mostly adds to a time, and what
// is left is the work. A user that is not looked up, or a verifier less to check, shows as
// half or twice the time.
func TestFailuresTakeTheSameTime(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	users := scramUsers(t, rand.Text(), rand.Text())
	if n := len(users["rotating"].Passwords); n != config.MaxPasswords {
		t.Fatalf("the user in a rotation has %d passwords, which are not the most there may be", n)
	}
	m := newMechanisms(t, Options{Users: users})
	for _, tc := range []struct {
		mechanism string
		rounds    int
	}{
		{"PLAIN", 15},
		{"LOGIN", 15},
		{"SCRAM-SHA-256", 2000},
	} {
		took := map[string][]time.Duration{}
		for range tc.rounds {
			for _, user := range []string{"one", "rotating", "none", "nobody", "guarded"} {
				took[user] = append(took[user], failure(t, begin(t, m, tc.mechanism, Client{}), tc.mechanism, user))
			}
		}
		quartile := map[string]time.Duration{}
		for user, all := range took {
			slices.Sort(all)
			quartile[user] = all[len(all)/4]
		}
		times := slices.Collect(maps.Values(quartile))
		if slices.Min(times) <= 0 || slices.Max(times) > slices.Min(times)*3/2 {
			t.Errorf("%s: the time of a failure tells the users apart: %v", tc.mechanism, quartile)
		}
	}
}

// failure is the processor time of a login with a wrong password.
func failure(t *testing.T, x Exchange, mechanism, user string) time.Duration {
	t.Helper()
	messages := []string{"\x00" + user + "\x00wrong"}
	switch mechanism {
	case "LOGIN":
		messages = []string{user, "wrong"}
	case "SCRAM-SHA-256":
		messages = []string{"n,,n=" + user + ",r=nonce", ""}
	}
	start := threadTime(t)
	var err error
	var challenge []byte
	for _, message := range messages {
		if message == "" {
			nonce, _, _ := strings.Cut(string(challenge), ",")
			message = "c=biws," + nonce + ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
		}
		challenge, _, err = x.Next([]byte(message))
	}
	took := threadTime(t) - start
	if !errors.Is(err, ErrCredentials) {
		t.Fatalf("%s of %s: %v", mechanism, user, err)
	}
	return took
}

// threadTime is the processor time that this thread has used.
func threadTime(t *testing.T) time.Duration {
	t.Helper()
	const clockThread = 3 // CLOCK_THREAD_CPUTIME_ID
	var spec syscall.Timespec
	if _, _, err := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockThread, uintptr(unsafe.Pointer(&spec)), 0); err != 0 {
		t.Fatal(err)
	}
	return time.Duration(spec.Nano())
}
