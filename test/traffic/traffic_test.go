package traffic

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"testing"
	"time"
)

func TestMessagesAreKnownAgain(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 4 << 10, 100 << 10, 1 << 20} {
		for _, number := range []uint64{0, 1, 1 << 40} {
			m := AppendMessage(nil, number, size)
			if size > 1<<10 && (len(m) < size-100 || len(m) > size+100) {
				t.Errorf("%d octets, want about %d", len(m), size)
			}
			got, err := Check(append([]byte("Received: by a relay\r\n"), m...))
			if err != nil || got != number {
				t.Errorf("message %d: %d, %v", number, got, err)
			}
		}
	}
}

func TestChangedMessagesAreNoticed(t *testing.T) {
	t.Parallel()
	good := AppendMessage(nil, 7, 4<<10)
	other := AppendMessage(nil, 8, 4<<10)
	head, _, _ := bytes.Cut(good, []byte("\r\n\r\n"))
	_, body, _ := bytes.Cut(other, []byte("\r\n\r\n"))
	flipped := bytes.Clone(good)
	flipped[len(flipped)-9] ^= 1
	for name, content := range map[string][]byte{
		"cut":             good[:len(good)-1],
		"a bit flipped":   flipped,
		"more":            append(bytes.Clone(good), "x\r\n"...),
		"another's body":  append(append(bytes.Clone(head), "\r\n\r\n"...), body...),
		"another's mark":  bytes.Replace(good, []byte(mark+"7 "), []byte(mark+"8 "), 1),
		"unreadable mark": bytes.Replace(good, []byte(mark), []byte(mark+"x"), 1),
	} {
		if _, err := Check(content); err == nil || errors.Is(err, ErrUnmarked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Check([]byte("Subject: a bounce\r\n\r\nSorry.\r\n")); !errors.Is(err, ErrUnmarked) {
		t.Errorf("without a mark: %v", err)
	}
}

// serve runs a sink with TLS and returns how clients reach it.
func serve(t *testing.T, s *Sink) Target {
	t.Helper()
	ca, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := ca.Server("sink.test")
	if err != nil {
		t.Fatal(err)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Serve(l)
	t.Cleanup(s.Close)
	return Target{Address: l.Addr().String(), TLS: &tls.Config{RootCAs: ca.Pool(), ServerName: "sink.test"}}
}

func TestSinkGetsEveryMessageOfALoad(t *testing.T) {
	t.Parallel()
	for _, perConnection := range []int{1, 10} {
		var mu sync.Mutex
		got, accepted := map[uint64]int{}, map[uint64]bool{}
		target := serve(t, &Sink{Message: func(content []byte) string {
			number, err := Check(content)
			mu.Lock()
			defer mu.Unlock()
			got[number]++
			if err != nil {
				t.Error(err)
			}
			return ""
		}})
		result, err := Load{
			Target: target, Connections: 4, PerConnection: perConnection, Size: 100 << 10, Duration: 200 * time.Millisecond, From: 5,
			Accepted: func(number uint64) { mu.Lock(); defer mu.Unlock(); accepted[number] = true },
		}.Run(context.Background())
		if err != nil || result.Accepted == 0 || result.Accepted != len(accepted) || len(got) != len(accepted) || !accepted[5] {
			t.Errorf("%d accepted, %d of them told, %d at the sink, %v", result.Accepted, len(accepted), len(got), err)
		}
		for number, times := range got {
			if times != 1 || !accepted[number] {
				t.Errorf("message %d came %d times, accepted: %v", number, times, accepted[number])
			}
		}
	}
}

func TestAnswersOfTheSinkReplaceTheUsual(t *testing.T) {
	t.Parallel()
	for verb, answer := range map[string]string{
		"GREETING": "421 4.3.2 busy", "EHLO": "500 5.5.1 no", "AUTH": "535 5.7.8 no", "MAIL": "451 4.3.0 later",
		"RCPT": "550 5.1.1 nobody", "DATA": "451 4.3.0 later", "END": "554 5.6.0 no", "MESSAGE": "452 4.3.1 full",
	} {
		s := &Sink{Answer: func(asked string) string {
			if asked == verb {
				return answer
			}
			return ""
		}}
		if verb == "MESSAGE" {
			s.Message = func([]byte) string { return answer }
		}
		if err := submitOne(serve(t, s)); err == nil || err.Error() != "refused: "+answer+"\r\n" {
			t.Errorf("%s: %v", verb, err)
		}
	}
	err := submitOne(serve(t, &Sink{Message: func([]byte) string { return Drop }}))
	if refused := (*ReplyError)(nil); err == nil || errors.As(err, &refused) {
		t.Errorf("dropped connection: %v", err)
	}
}

func submitOne(target Target) error {
	c, err := Dial(context.Background(), target)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Send(AppendMessage(nil, 1, 1000))
}
