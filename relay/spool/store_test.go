package spool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

const testDir = "spool"

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// memory returns an empty file system with the spool's directory in it.
func memory(t testing.TB) *vfs.MemFS {
	t.Helper()
	fsys := vfs.NewCrashableMem()
	if err := fsys.MkdirAll(testDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syncDir(fsys, ""); err != nil {
		t.Fatal(err)
	}
	return fsys
}

// mustOpen opens a store that is closed at the end of the test.
func mustOpen(t testing.TB, fsys vfs.FS, change ...func(*Options)) *Store {
	t.Helper()
	opts := Options{Directory: testDir, FS: fsys, Logger: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&opts)
	}
	s, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// bodyOf returns n random bytes, the same ones for the same n.
func bodyOf(n int) []byte {
	body := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte(binary.BigEndian.AppendUint64(make([]byte, 24), uint64(n)))).Read(body)
	return body
}

func envelopeTo(addresses ...string) *Envelope {
	e := &Envelope{User: "web.shop", ReversePath: "shop@example.org", Accepted: newClock().Now()}
	for _, a := range addresses {
		e.Recipients = append(e.Recipients, Recipient{Address: a})
	}
	return e
}

// put commits a message and returns its id.
func put(s *Store, body []byte, others ...*Envelope) (string, error) {
	d, err := s.Create(context.Background())
	if err != nil {
		return "", err
	}
	defer d.Abort()
	if _, err := d.Write(body); err != nil {
		return "", err
	}
	return d.ID(), d.Commit(context.Background(), envelopeTo("bob@example.net"), others...)
}

func mustPut(t testing.TB, s *Store, body []byte, others ...*Envelope) string {
	t.Helper()
	id, err := put(s, body, others...)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// content reads a message.
func contentOf(t testing.TB, s *Store, id string) []byte {
	t.Helper()
	r, err := s.Open(id)
	if err != nil {
		t.Fatalf("open %s: %v", id, err)
	}
	defer r.Close()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func idsIn(t testing.TB, s *Store) []string {
	t.Helper()
	var ids []string
	if err := s.Each(func(e *Envelope) error {
		ids = append(ids, e.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// bodySizes are around the borders between buffer, database and file.
var bodySizes = []int{
	0, 1, chunkSize - 1, chunkSize, chunkSize + 1, smallBody - 1, smallBody, smallBody + 1, 2 * smallBody, 3*smallBody + 17,
}

func TestCommittedMessageIsReadBackBeforeAndAfterReopening(t *testing.T) {
	t.Parallel()
	fsys := memory(t)
	s := mustOpen(t, fsys)
	ids := make(map[string]int)
	total := 0
	for _, n := range bodySizes {
		ids[mustPut(t, s, bodyOf(n))] = n
		total += n
	}
	for range 2 {
		for id, n := range ids {
			if !bytes.Equal(contentOf(t, s, id), bodyOf(n)) {
				t.Errorf("content of %d bytes differs", n)
			}
			e, err := s.Envelope(id)
			if err != nil || e.ID != id || e.Size != int64(n) || e.Recipients[0].Address != "bob@example.net" {
				t.Errorf("envelope %+v, %v", e, err)
			}
		}
		if got := s.Stats(); got.Messages != int64(len(bodySizes)) || got.Bytes != int64(total) || !got.Oldest.Equal(newClock().Now()) {
			t.Errorf("stats %+v", got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, fsys)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	t.Parallel()
	fsys := memory(t)
	s := mustOpen(t, fsys)
	var ids []string
	for _, n := range bodySizes {
		ids = append(ids, mustPut(t, s, bodyOf(n)))
	}
	if err := s.Remove(context.Background(), append(ids, "unknown")...); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := s.Envelope(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("envelope: %v, want ErrNotFound", err)
		}
		if _, err := s.Open(id); !errors.Is(err, ErrNotFound) {
			t.Errorf("open: %v, want ErrNotFound", err)
		}
	}
	if names, err := fsys.List(s.layout.bodies); err != nil || len(names) > 0 {
		t.Errorf("files left: %v, %v", names, err)
	}
	if err := s.scan(bodyKey, func(id string, _ []byte) error { return errors.New("content left of " + id) }); err != nil {
		t.Error(err)
	}
	if got := s.Stats(); got.Messages != 0 || got.Bytes != 0 || !got.Oldest.IsZero() {
		t.Errorf("stats %+v, want zeros", got)
	}
}

func TestUpdateReplacesAllEnvelopesOrNone(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	id := mustPut(t, s, bodyOf(10))
	e, err := s.Envelope(id)
	if err != nil {
		t.Fatal(err)
	}
	e.Attempts = 3
	e.Recipients[0].Outcome = Delivered
	stranger := &Envelope{ID: newID(time.Now())}
	if err := s.Update(context.Background(), e, stranger); !errors.Is(err, ErrNotFound) {
		t.Fatalf("update with an unknown message: %v, want ErrNotFound", err)
	}
	if got, _ := s.Envelope(id); got.Attempts != 0 {
		t.Error("a refused update changed an envelope")
	}
	if err := s.Update(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Envelope(id); got.Attempts != 3 || !got.Done() {
		t.Errorf("envelope %+v after the update", got)
	}
	if !bytes.Equal(contentOf(t, s, id), bodyOf(10)) {
		t.Error("an update lost the content")
	}
}

func TestCommitUpdatesOthersInTheSameBatch(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	original := mustPut(t, s, bodyOf(10))
	e, _ := s.Envelope(original)
	e.Recipients[0].Outcome = Bounced
	bounce := mustPut(t, s, bodyOf(20), e)
	if got, _ := s.Envelope(original); !got.Done() {
		t.Error("the other envelope was not updated")
	}
	if _, err := put(s, bodyOf(smallBody+1), &Envelope{ID: newID(time.Now())}); !errors.Is(err, ErrNotFound) {
		t.Fatalf("commit with an unknown other: %v, want ErrNotFound", err)
	}
	if got := idsIn(t, s); !slices.Equal(got, slices.Sorted(slices.Values([]string{original, bounce}))) {
		t.Errorf("messages %v", got)
	}
}

func TestOnCommitSeesEachDurableMessage(t *testing.T) {
	t.Parallel()
	var seen []string
	s := mustOpen(t, memory(t), func(o *Options) {
		o.OnCommit = func(e *Envelope) { seen = append(seen, e.ID); e.Recipients[0].Address = "changed" }
	})
	d, _ := s.Create(context.Background())
	e := envelopeTo("bob@example.net")
	if err := d.Commit(context.Background(), e); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(seen, []string{d.ID()}) || e.Recipients[0].Address != "bob@example.net" {
		t.Errorf("seen %v, envelope %+v", seen, e)
	}
}

func TestDraftIsOverAfterCommitOrAbort(t *testing.T) {
	t.Parallel()
	for _, n := range []int{5, smallBody + 5} {
		for _, committed := range []bool{true, false} {
			fsys := memory(t)
			s := mustOpen(t, fsys)
			d, _ := s.Create(context.Background())
			_, _ = d.Write(bodyOf(n))
			want := 0
			if committed {
				want = 1
				if err := d.Commit(context.Background(), envelopeTo("a@example.org")); err != nil {
					t.Fatal(err)
				}
			}
			d.Abort()
			d.Abort()
			if _, err := d.Write([]byte("x")); err == nil {
				t.Error("a finished draft takes more")
			}
			if err := d.Commit(context.Background(), envelopeTo("a@example.org")); err == nil {
				t.Error("a finished draft can be committed")
			}
			if got := idsIn(t, s); len(got) != want {
				t.Errorf("%d messages, want %d", len(got), want)
			}
			if names, _ := fsys.List(s.layout.bodies); !committed && len(names) > 0 {
				t.Errorf("an aborted draft left %v", names)
			}
		}
	}
}

func TestEndedContextChangesNothing(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	id := mustPut(t, s, nil)
	ctx, cancel := context.WithCancel(context.Background())
	d, _ := s.Create(ctx)
	cancel()
	_, createErr := s.Create(ctx)
	for name, err := range map[string]error{
		"create": createErr,
		"commit": d.Commit(ctx, envelopeTo("a@example.org")),
		"update": s.Update(ctx, &Envelope{ID: id}),
		"remove": s.Remove(ctx, id),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	if got := idsIn(t, s); !slices.Equal(got, []string{id}) {
		t.Errorf("messages %v", got)
	}
}

func TestClosedStoreRefusesCalls(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	id := mustPut(t, s, nil)
	d, _ := s.Create(context.Background())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	_, createErr := s.Create(context.Background())
	_, envelopeErr := s.Envelope(id)
	_, openErr := s.Open(id)
	for name, err := range map[string]error{
		"create":   createErr,
		"envelope": envelopeErr,
		"open":     openErr,
		"commit":   d.Commit(context.Background(), envelopeTo("a@example.org")),
		"update":   s.Update(context.Background(), &Envelope{ID: id}),
		"remove":   s.Remove(context.Background(), id),
		"each":     s.Each(func(*Envelope) error { return nil }),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", name, err)
		}
	}
}

func TestEachStopsAtAnErrorAndMayCallTheStore(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	for range 3 {
		mustPut(t, s, nil)
	}
	calls := 0
	stop := errors.New("enough")
	err := s.Each(func(e *Envelope) error {
		calls++
		if err := s.Remove(context.Background(), e.ID); err != nil {
			return err
		}
		if calls == 2 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || calls != 2 || s.Stats().Messages != 1 {
		t.Errorf("%v after %d calls, %d messages left", err, calls, s.Stats().Messages)
	}
}

func TestRemovalsThatComeTogetherDoNotShareTheirFailures(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, memory(t))
	bad := mustPut(t, s, bodyOf(1))
	if err := s.db.Set(key(envelopeKey, bad), []byte{99}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	s.recent.drop(bad)
	good := mustPut(t, s, bodyOf(1))
	// Both wait for the turn and make one group.
	s.removals.turn.Lock()
	errs := map[string]chan error{bad: make(chan error, 1), good: make(chan error, 1)}
	for id, err := range errs {
		go func() { err <- s.Remove(context.Background(), id) }()
	}
	for {
		s.removals.mu.Lock()
		together := s.removals.next != nil && len(s.removals.next.ids) == len(errs)
		s.removals.mu.Unlock()
		if together {
			break
		}
		time.Sleep(time.Millisecond)
	}
	s.removals.turn.Unlock()
	if err := <-errs[bad]; err == nil {
		t.Error("a broken record was removed")
	}
	if err := <-errs[good]; err != nil {
		t.Error(err)
	}
	if got := idsOnDisk(t, s); !slices.Equal(got, []string{bad}) {
		t.Errorf("left: %v, want %s", got, bad)
	}
}

// idsOnDisk are the ids of all records, readable or not.
func idsOnDisk(t *testing.T, s *Store) []string {
	t.Helper()
	var ids []string
	if err := s.scan(envelopeKey, func(id string, _ []byte) error {
		ids = append(ids, id)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}
