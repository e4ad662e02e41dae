package message

// span is a part of a field's value.
type span struct{ start, end int }

// addressSpans finds the addresses in an address-list (RFC 5322 §3.4): of each mailbox what is
// in angle brackets, otherwise its only word. A mailbox that is neither is passed over, and so
// is an address with quotes or with white space in it.
func addressSpans(value []byte) []span {
	s := addressScanner{value: value}
	s.begin(0)
	for s.at = 0; s.at < len(value); s.at++ {
		s.octet(value[s.at])
	}
	s.finish()
	return s.spans
}

// addressScanner is a scan of an address-list.
type addressScanner struct {
	value []byte
	at    int
	spans []span

	depth           int // of comments
	quoted, inAngle bool

	// word is the only word of the mailbox so far, angle what it has in angle brackets.
	word, angle      span
	inWord, hasAngle bool
	words            int
	unusable         bool
}

// begin starts a mailbox.
func (s *addressScanner) begin(at int) {
	s.word, s.angle = span{at, at}, span{at, at}
	s.inWord, s.inAngle, s.hasAngle, s.unusable, s.words = false, false, false, false, 0
}

// finish notes the address of the mailbox that ends.
func (s *addressScanner) finish() {
	s.endWord()
	switch {
	case s.depth > 0 || s.quoted || s.inAngle || s.unusable:
	case s.hasAngle:
		s.spans = append(s.spans, s.angle)
	case s.words == 1:
		s.spans = append(s.spans, s.word)
	}
}

func (s *addressScanner) octet(c byte) {
	switch {
	case c == '\\' && (s.quoted || s.depth > 0):
		s.at++
	case s.quoted:
		s.quoted = c != '"'
	case c == '(':
		s.endWord()
		s.depth++
		s.unusable = s.unusable || s.inAngle
	case s.depth > 0:
		if c == ')' {
			s.depth--
		}
	case c == '"':
		s.endWord()
		s.quoted = true
		s.words++
		// Quotes belong to a display name; next to a bare address they are its local-part.
		s.unusable = s.unusable || s.inAngle || s.hasAngle
	case s.inAngle:
		s.angleOctet(c)
	default:
		s.plainOctet(c)
	}
}

func (s *addressScanner) angleOctet(c byte) {
	switch c {
	case '>':
		s.inAngle, s.hasAngle = false, true
		s.angle.end = s.at
	case ' ', '\t', '\r', '\n', ',', ';', ':', '<':
		s.unusable = true
	}
}

func (s *addressScanner) plainOctet(c byte) {
	switch c {
	case '<':
		s.endWord()
		s.unusable = s.unusable || s.hasAngle
		s.inAngle = true
		s.angle = span{s.at + 1, s.at + 1}
	case ',', ';':
		s.finish()
		s.begin(s.at + 1)
	case ':': // what was read is the name of a group
		s.begin(s.at + 1)
	case ' ', '\t', '\r', '\n':
		s.endWord()
	default:
		s.unusable = s.unusable || s.hasAngle
		if !s.inWord {
			s.inWord = true
			s.words++
			s.word.start = s.at
		}
	}
}

func (s *addressScanner) endWord() {
	if s.inWord {
		s.inWord = false
		s.word.end = s.at
	}
}
