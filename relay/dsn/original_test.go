package dsn

import (
	"strings"
	"testing"
	"testing/iotest"
)

func TestOriginalHeaderIsBoundedAndHarmless(t *testing.T) {
	t.Parallel()
	longLine := "X: " + strings.Repeat("x", 5000)
	for name, test := range map[string]struct{ in, want string }{
		"ends at the empty line":      {"A: 1\r\nB: 2\r\n\r\nbody", "A: 1\r\nB: 2\r\n"},
		"ends at a bare empty line":   {"A: 1\n\nbody", "A: 1\r\n"},
		"no empty line":               {"A: 1\r\nB: 2", "A: 1\r\nB: 2\r\n"},
		"nothing":                     {"", ""},
		"no header":                   {"\r\nbody", ""},
		"bare CR":                     {"A: 1\rB: 2\r\n\r\n", "A: 1 B: 2\r\n"},
		"8-bit":                       {"Subject: \xfc ü\r\n\r\n", "Subject: \xfc ü\r\n"},
		"NUL":                         {"A: \x00\r\n\r\n", "A: \x00\r\n"},
		"long line":                   {longLine + "\r\n\r\n", longLine + "\r\n"},
		"a boundary":                  {"--x\r\nA: 1\r\n\r\n", "--x\r\nA: 1\r\n"},
		"cut at whole lines":          {strings.Repeat("A: 345\r\n", 10000), strings.Repeat("A: 345\r\n", maxHeader/8)},
		"cut in the middle of a line": {strings.Repeat("A: 3456\r\n", 10000), strings.Repeat("A: 3456\r\n", maxHeader/9)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := write(t, report(func(r *Report) { r.Message = iotest.OneByteReader(strings.NewReader(test.in)) }))
			checkLines(t, p.raw, false)
			if test.want == "" {
				if len(p.parts) != 2 {
					t.Errorf("%d parts, want 2", len(p.parts))
				}
				return
			}
			if got := p.parts[2].body; got != test.want {
				t.Errorf("got %.200q, want %.200q", got, test.want)
			}
		})
	}
}

func TestNoHeaderNoPart(t *testing.T) {
	t.Parallel()
	if p := write(t, report(func(r *Report) { r.Message = nil })); len(p.parts) != 2 {
		t.Errorf("%d parts, want 2", len(p.parts))
	}
}
