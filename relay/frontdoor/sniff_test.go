package frontdoor

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestSniff(t *testing.T) {
	t.Parallel()
	tests := []struct {
		first string
		want  mode
	}{
		{"\x16\x03\x01\x02\x00\x01", modeTLS},
		{"\x16", modeTLS},
		{"EHLO cli", modeSMTP},
		{"ehlo\r\n", modeSMTP},
		{"STARTTLS", modeSMTP},
		{"QUIT\r\n", modeSMTP},
		{"GET / HT", modeHTTP},
		{"OPTIONS ", modeHTTP},
		{"PRI * HT", modeHTTP},
		{"PROXY TC", modeProxy},
		{"\r\n\r\n\x00\r\nQ", modeProxy},
		{"\r\n", modeUnknown},
		{"SSH-2.0-", modeUnknown},
		{"\x80\x2e\x01", modeUnknown},
		{"", modeUnknown},
	}
	for _, tt := range tests {
		if got := sniff([]byte(tt.first)); got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.first, got, tt.want)
		}
	}
}

func TestWrongModeIsNamedWithinASecond(t *testing.T) {
	t.Parallel()
	tests := []struct {
		service Service
		kind    mode
		send    []string
		want    string
	}{
		{Submissions, modeSilent, nil, ""},
		{Submissions, modeSMTP, []string{"EHLO x\r\n"}, ""},
		{Submissions, modeSMTP, []string{"E", "HLO x\r\n"}, ""},
		{Submissions, modeHTTP, []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}, ""},
		{Submissions, modeProxy, []string{"PROXY TCP4 192.0.2.1 192.0.2.2 1 465\r\n"}, ""},
		{Submissions, modeUnknown, []string{"\x00\x01"}, ""},
		{Submission, modeTLS, []string{"\x16\x03\x01\x02\x00"}, ""},
		{Submission, modeHTTP, []string{"POST / HTTP/1.1\r\nHost: x\r\n\r\n"}, "554 5.5.1"},
		{Submission, modeHTTP, []string{"GET / HTTP/1.1"}, "554 5.5.1"},
		{Submission, modeHTTP, []string{"GE", "T / HTTP/1.1\r\n"}, "554 5.5.1"},
		{Submission, modeProxy, []string{"PROXY TCP4 192.0.2.1 192.0.2.2 1 587\r\n"}, "554 5.5.1"},
	}
	for _, tt := range tests {
		t.Run(string(tt.service)+" "+string(tt.kind), func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, func(o *Options) { o.Timeouts.Silence = 200 * time.Millisecond })
			c := dial(t, map[Service]string{Submissions: h.smtps, Submission: h.smtp}[tt.service])
			if tt.service == Submission {
				c.expect("220 ")
			}
			began := time.Now()
			for _, part := range tt.send {
				c.send(part)
			}
			if tt.want != "" {
				c.expect(tt.want)
			}
			c.expectEnd()
			if took := time.Since(began); took > time.Second {
				t.Errorf("closed after %v", took)
			}
			if n := testutil.ToFloat64(h.metrics.wrongMode.WithLabelValues(string(tt.service), string(tt.kind))); n != 1 {
				t.Errorf("counted %v times", n)
			}
			if log := h.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, advice[tt.service][tt.kind]) {
				t.Errorf("logged %q", log)
			}
		})
	}
}

func TestHealthChecksAreOnlyCounted(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	dial(t, h.smtps).Close()
	c := dial(t, h.smtp)
	c.expect("220 ")
	c.Close()
	for _, service := range []string{"submissions", "submission"} {
		waitFor(t, service+" is counted", func() bool {
			return testutil.ToFloat64(h.metrics.healthChecks.WithLabelValues(service)) == 1
		})
	}
	if log := h.log.String(); log != "" {
		t.Errorf("logged %q", log)
	}
}
