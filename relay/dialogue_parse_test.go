package relay_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestDialogueIsRead(t *testing.T) {
	t.Parallel()
	s, err := parseScript("rcpt/x", `# Shows something
# in two lines.
ports: 587
relay: strict
begin: tls
login: app.shop

C: MAIL FROM:<a@example.com>
C|  two blanks\n
S: 250-one
S: 250 two
# A remark.
repeat 2
C:
end
quiet 20ms
close
nothing delivered
`)
	if err != nil {
		t.Fatal(err)
	}
	if s.about != "Shows something in two lines." || !slices.Equal(s.ports, []string{"587"}) || s.relay != "strict" ||
		s.begin != beginTLS || s.login != "app.shop" {
		t.Errorf("script = %+v", s)
	}
	want := []step{
		{8, verbSay, "MAIL FROM:<a@example.com>"}, {9, verbSayRaw, ` two blanks\n`}, {10, verbExpect, "250-one"}, {11, verbExpect, "250 two"},
		{14, verbSay, ""}, {14, verbSay, ""}, {16, verbQuiet, "20ms"}, {17, verbClose, ""}, {18, verbNothing, ""},
	}
	if !slices.Equal(s.steps, want) {
		t.Errorf("steps = %+v\nwant    %+v", s.steps, want)
	}
}

func TestDialogueHasDefaults(t *testing.T) {
	t.Parallel()
	s, err := parseScript("x", "# X.\nC: NOOP\nS: 250 2.0.0 OK\n")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.ports, []string{"465", "587"}) || s.relay != "standard" || s.begin != beginEHLO || s.login != "" {
		t.Errorf("script = %+v", s)
	}
}

func TestDialogueThatShowsNothingIsRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"C: NOOP\nS: 250 OK\n":                                   "no description",
		"# X.\nS: 250 OK\n":                                      "the client does nothing",
		"# X.\nC: NOOP\n":                                        "nothing is expected",
		"# X.\nC: NOOP\nS: OK\n":                                 "a reply begins with its code",
		"# X.\nC: NOOP\nS: ...\n":                                "a reply begins with its code",
		"# X.\nC: NOOP\nS: 250\n":                                "a reply begins with its code",
		"# X.\nC: NOOP\nR: 250 OK\n":                             "unknown step",
		"# X.\nC:NOOP\nS: 250 OK\n":                              "unknown step",
		"# X.\nport: 465\nC: NOOP\nS: 250 OK\n":                  `unknown setting "port: 465"`,
		"# X.\nports: 25\nC: NOOP\nS: 250 OK\n":                  "unknown setting",
		"# X.\nbegin: later\nC: NOOP\nS: 250 OK\n":               "unknown setting",
		"# X.\nC: NOOP\nlogin: app.shop\nS: 250 OK\n":            "above the first step",
		"# X.\nC: NOOP\nclose\nC: NOOP\n":                        "line 4: the connection is over",
		"# X.\nC: NOOP\nleave\nS: 250 OK\n":                      "line 4: the connection is over",
		"# X.\nC: NOOP\nquiet soon\n":                            "invalid duration",
		"# X.\nrepeat many\nC: NOOP\nend\nS: 250 OK\n":           "invalid syntax",
		"# X.\nrepeat 2\nC: NOOP\nS: 250 OK\n":                   "a repeat has no end",
		"# X.\nC: NOOP\nend\nS: 250 OK\n":                        "repeat and end do not match",
		"# X.\nC: DATA\nS: 354 Go\nC: .\nS: 250 OK\n":            "a message is begun",
		"# X.\nC: .\nS: 250 queued as {id}\nnothing delivered\n": "accepted and nothing delivered",
		"# X.\nC: .\nS: 250 OK\nU: Subject: x\n":                 "needs a reply with {id}",
		"# X.\nC: {secret}\nS: 250 OK\n":                         "unknown word {secret}",
		"# X.\nC: {base64 x\nS: 250 OK\n":                        "a { has no }",
		"# X.\nC: x}\nS: 250 OK\n":                               "a } has no {",
		"# X.\nC: \\q\nS: 250 OK\n":                              "unknown escape",
		"# X.\nC: \\xzz\nS: 250 OK\n":                            "invalid syntax",
		"# X.\nC: {0*x}\nS: 250 OK\n":                            "0 times",
		"# X.\nC: {99999999*{9*x}}\nS: 250 OK\n":                 "is not possible",
	} {
		if _, err := parseScript("x", text); err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "x.txt") {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
}

func TestDialogueWords(t *testing.T) {
	t.Parallel()
	p := &player{id: "01abc", stage: &stage{running: &running{site: &site{password: "pass}word"}}}}
	for text, want := range map[string]string{
		`plain`:                    "plain",
		`\r\n\t\0\\\{\}\xff`:       "\r\n\t\x00\\{}\xff",
		`{3*ab}`:                   "ababab",
		`{2*{2*a}b}`:               "aabaab",
		`{id}`:                     "01abc",
		`{base64 \0u\0{password}}`: "AHUAcGFzc313b3Jk",
		`<{base64 }>`:              "<>",
		`{2*\x2a}`:                 "**",
		`{password}`:               "pass}word",
	} {
		if got, err := expand(text, p.word); err != nil || got != want {
			t.Errorf("%s = %q, %v, want %q", text, got, err, want)
		}
	}
	p.id = ""
	if _, err := expand("{id}", p.word); err == nil {
		t.Error("there is a queue id before there is a message")
	}
	if _, err := expand("{x}", func(string) (string, error) { return "", errors.New("no") }); err == nil {
		t.Error("the error of a word is lost")
	}
}

func TestDialoguePatterns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		patterns, lines string
		want            bool
	}{
		{"250 OK", "250 OK", true},
		{"250 OK", "250 OK.", false},
		{"250 ...", "250 ", true},
		{"250 ...", "251 x", false},
		{"a...b...c", "a1b2c", true},
		{"a...b...c", "abc", true},
		{"a...b...c", "acb", false},
		{"ab...bc", "abc", false},
		{"...x", "yx", true},
		{"a|...|c", "a|b|b|c", true},
		{"a|...|c", "a|c", true},
		{"a|...|c", "a|b", false},
		{"a|...", "a", true},
		{"a|...b", "a|c|b", false},
		{"...|b|...|d", "a|b|b|c|d", true},
		{"a", "a|b", false},
		{"a|b", "a", false},
		{"..", "..", true},
		{".|..", "..|.", false},
	} {
		if got := matchLines(strings.Split(tc.patterns, "|"), strings.Split(tc.lines, "|")); got != tc.want {
			t.Errorf("%s of %s = %v", tc.patterns, tc.lines, got)
		}
	}
}
