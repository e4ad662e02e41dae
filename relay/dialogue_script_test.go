package relay_test

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// script is one dialogue of testdata/dialogues; its README says how one is written.
type script struct {
	// name is folder/file, without the extension.
	name string
	// about is the sentence that says what the dialogue shows.
	about string
	// ports are "465", "587" or both.
	ports []string
	// relay is the name of its configuration in testdata/dialogues/relays.
	relay string
	// begin is how far the client has come: connection, tls or ehlo.
	begin string
	// login is the user who has logged in, empty for nobody.
	login string
	// certificate is the URI in the certificate that the client shows, empty for none. It is
	// foreign when another CA than that of users signed it.
	certificate string
	foreign     bool
	steps       []step
}

// step is one line of a dialogue.
type step struct {
	line int
	verb string
	text string
}

// The verbs of steps, as they are written.
const (
	verbSay       = "C:"
	verbSayRaw    = "C|"
	verbExpect    = "S:"
	verbDelivered = "U:"
	verbAbsent    = "U!"
	verbNothing   = "nothing delivered"
	verbTLS       = "TLS"
	verbClose     = "close"
	verbLeave     = "leave"
	verbQuiet     = "quiet"
	verbPause     = "pause"
	verbRepeat    = "repeat"
	verbEnd       = "end"
)

// Where a dialogue can begin.
const (
	beginConnection = "connection"
	beginTLS        = "tls"
	beginEHLO       = "ehlo"
)

// parseScript reads a dialogue. What would make it show nothing is an error.
func parseScript(name, text string) (*script, error) {
	s := &script{name: name, ports: []string{"465", "587"}, relay: "standard", begin: beginEHLO}
	for i, line := range strings.Split(text, "\n") {
		if err := s.readLine(i+1, line); err != nil {
			return nil, fmt.Errorf("%s.txt:%d: %w", name, i+1, err)
		}
	}
	if err := s.unroll(); err != nil {
		return nil, fmt.Errorf("%s.txt: %w", name, err)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s.txt: %w", name, err)
	}
	return s, nil
}

func (s *script) readLine(number int, line string) error {
	switch {
	case strings.TrimSpace(line) == "":
		return nil
	case strings.HasPrefix(line, "#"):
		if len(s.steps) == 0 {
			s.about = strings.TrimSpace(s.about + " " + strings.TrimPrefix(line, "#"))
			s.about = strings.Join(strings.Fields(s.about), " ")
		}
		return nil
	}
	if key, value, ok := strings.Cut(line, ": "); ok && strings.ToLower(key) == key {
		return s.set(key, value)
	}
	st, err := parseStep(line)
	if err != nil {
		return err
	}
	st.line = number
	s.steps = append(s.steps, st)
	return nil
}

// set takes a line above the steps.
func (s *script) set(key, value string) error {
	if len(s.steps) > 0 {
		return fmt.Errorf("%s belongs above the first step", key)
	}
	switch {
	case key == "ports" && (value == "465" || value == "587"):
		s.ports = []string{value}
	case key == "relay":
		s.relay = value
	case key == "begin" && (value == beginConnection || value == beginTLS || value == beginEHLO):
		s.begin = value
	case key == "login":
		s.login = value
	case key == "certificate":
		s.certificate, s.foreign = strings.CutSuffix(value, " of another CA")
	default:
		return fmt.Errorf("unknown setting %q", key+": "+value)
	}
	return nil
}

// replyLine is an expected line: its code must be written out.
var replyLine = regexp.MustCompile(`^[2-5][0-9][0-9][ -]`)

func parseStep(line string) (step, error) {
	for _, verb := range []string{verbSay, verbSayRaw, verbExpect, verbDelivered, verbAbsent} {
		rest, ok := strings.CutPrefix(line, verb)
		if !ok || rest != "" && rest[0] != ' ' {
			continue
		}
		st := step{verb: verb, text: strings.TrimPrefix(rest, " ")}
		if verb == verbExpect && !replyLine.MatchString(st.text) {
			return st, errors.New("a reply begins with its code and a space or a hyphen")
		}
		_, err := expand(st.text, wordNames)
		return st, err
	}
	switch line {
	case verbTLS, verbClose, verbLeave, verbEnd, verbNothing:
		return step{verb: line}, nil
	}
	verb, text, _ := strings.Cut(line, " ")
	var err error
	switch verb {
	case verbQuiet, verbPause:
		_, err = time.ParseDuration(text)
	case verbRepeat:
		_, err = strconv.Atoi(text)
	default:
		err = fmt.Errorf("unknown step %q", line)
	}
	return step{verb: verb, text: text}, err
}

// unroll writes repeated steps out.
func (s *script) unroll() error {
	var out []step
	start, times := -1, 0
	for _, st := range s.steps {
		switch {
		case st.verb == verbRepeat && start < 0:
			start = len(out)
			times, _ = strconv.Atoi(st.text)
		case st.verb == verbEnd && start >= 0:
			body := out[start:]
			for range times - 1 {
				out = append(out, body...)
			}
			start = -1
		case st.verb == verbRepeat || st.verb == verbEnd:
			return fmt.Errorf("line %d: repeat and end do not match", st.line)
		default:
			out = append(out, st)
		}
	}
	if start >= 0 {
		return errors.New("a repeat has no end")
	}
	s.steps = out
	return nil
}

// check refuses dialogues that show nothing, or do not say what becomes of a message.
func (s *script) check() error {
	if err := s.checkOrder(); err != nil {
		return err
	}
	count := map[string]int{}
	begun, taken := false, false
	for _, st := range s.steps {
		count[st.verb]++
		begun = begun || st.verb == verbExpect && strings.HasPrefix(st.text, "354 ")
		taken = taken || st.verb == verbExpect && strings.Contains(st.text, idWord)
	}
	switch {
	case s.about == "":
		return errors.New("no description: begin with a line # that says what the dialogue shows")
	case count[verbSay]+count[verbSayRaw]+count[verbTLS]+count[verbQuiet] == 0:
		return errors.New("the client does nothing")
	case count[verbExpect]+count[verbClose]+count[verbQuiet] == 0:
		return errors.New("nothing is expected of the server")
	case taken && count[verbNothing] > 0:
		return errors.New("a message is accepted and nothing delivered")
	case count[verbDelivered]+count[verbAbsent] > 0 && !taken:
		return errors.New("what is delivered needs a reply with {id} before it")
	case begun && !taken && count[verbNothing] == 0:
		return errors.New("a message is begun: expect its {id}, or say: nothing delivered")
	}
	return nil
}

// checkOrder lets only the upstream have a word after the end of the connection.
func (s *script) checkOrder() error {
	over := false
	for _, st := range s.steps {
		switch st.verb {
		case verbDelivered, verbAbsent, verbNothing:
			continue
		}
		if over {
			return fmt.Errorf("line %d: the connection is over", st.line)
		}
		over = st.verb == verbClose || st.verb == verbLeave
	}
	return nil
}
