package relay_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// expand replaces the escapes of a text, and what stands in braces, from the inside out, by
// what word makes of it.
func expand(text string, word func(string) (string, error)) (string, error) {
	out, rest, err := expandUntil(text, false, word)
	if err == nil && rest != "" {
		err = errors.New("a } has no {: write \\} for the character")
	}
	return out, err
}

func expandUntil(text string, inWord bool, word func(string) (string, error)) (out, rest string, err error) {
	var b strings.Builder
	for text != "" {
		switch c := text[0]; {
		case c == '\\':
			var n int
			if c, n, err = escape(text); err != nil {
				return "", "", err
			}
			b.WriteByte(c)
			text = text[n:]
		case c == '{':
			inner, after, err := expandUntil(text[1:], true, word)
			if err != nil {
				return "", "", err
			}
			value, err := word(inner)
			if err != nil {
				return "", "", err
			}
			b.WriteString(value)
			text = after
		case c == '}' && inWord:
			return b.String(), text[1:], nil
		case c == '}':
			return "", text, nil
		default:
			b.WriteByte(c)
			text = text[1:]
		}
	}
	if inWord {
		return "", "", errors.New("a { has no }: write \\{ for the character")
	}
	return b.String(), "", nil
}

// escape returns the byte that an escape stands for, and the length of the escape.
func escape(text string) (byte, int, error) {
	if len(text) >= 4 && text[1] == 'x' {
		n, err := strconv.ParseUint(text[2:4], 16, 8)
		return byte(n), 4, err
	}
	if len(text) >= 2 {
		if i := strings.IndexByte(`rnt0\{}`, text[1]); i >= 0 {
			return "\r\n\t\x00\\{}"[i], 2, nil
		}
	}
	return 0, 0, fmt.Errorf(`unknown escape in %q: there are \r \n \t \0 \\ \{ \} and \x00`, text)
}

// words are what a script can say in braces, besides the queue id. Each takes what follows
// its name.
var words = map[string]func(p *player, argument string) (string, error){
	"password": func(p *player, _ string) (string, error) { return p.stage.site.password, nil },
	"base64": func(_ *player, text string) (string, error) {
		return base64.StdEncoding.EncodeToString([]byte(text)), nil
	},
	"token":            func(p *player, _ string) (string, error) { return p.stage.token, nil },
	"signed":           func(p *player, what string) (string, error) { return p.stage.issuer.token(what) },
	"scram":            (*player).scram,
	"scram-plus":       (*player).scramPlus,
	"scram-downgraded": (*player).scramDowngraded,
}

// idWord stands for the queue id: in a reply it is learnt, elsewhere it is the last one.
const idWord = "{id}"

// word is what a word in braces means to the player.
func (p *player) word(inner string) (string, error) {
	name, argument, _ := strings.Cut(inner, " ")
	if repeated, ok, err := repeat(inner); ok {
		return repeated, err
	}
	if inner == "id" && p.id != "" {
		return p.id, nil
	}
	if f, ok := words[name]; ok {
		return f(p, argument)
	}
	return "", fmt.Errorf("{%s} means nothing here", inner)
}

// wordNames is word for the parser, which knows only the names.
func wordNames(inner string) (string, error) {
	name, _, _ := strings.Cut(inner, " ")
	if repeated, ok, err := repeat(inner); ok {
		return repeated, err
	}
	if _, ok := words[name]; ok || inner == "id" {
		return inner, nil
	}
	return "", fmt.Errorf("unknown word {%s}", inner)
}

var repetition = regexp.MustCompile(`(?s)^([0-9]+)\*(.*)$`)

// repeat is {500*a}: a text many times.
func repeat(inner string) (text string, ok bool, err error) {
	parts := repetition.FindStringSubmatch(inner)
	if parts == nil {
		return "", false, nil
	}
	n, err := strconv.Atoi(parts[1])
	if err != nil || n < 1 || n*len(parts[2]) > 1<<24 {
		return "", true, fmt.Errorf("%s times is not possible", parts[1])
	}
	return strings.Repeat(parts[2], n), true, nil
}

// wildcard stands for anything within a line; alone, for any lines.
const wildcard = "..."

// matchLine reports whether a line is as a pattern says.
func matchLine(pattern, line string) bool {
	parts := strings.Split(pattern, wildcard)
	line, ok := strings.CutPrefix(line, parts[0])
	if !ok || len(parts) == 1 {
		return ok && line == ""
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, line, ok = strings.Cut(line, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(line, parts[len(parts)-1])
}

// matchLines reports whether lines are as patterns say, from the first to the last.
func matchLines(patterns, lines []string) bool {
	if len(patterns) == 0 {
		return len(lines) == 0
	}
	if patterns[0] == wildcard {
		for skip := range len(lines) + 1 {
			if matchLines(patterns[1:], lines[skip:]) {
				return true
			}
		}
		return false
	}
	return len(lines) > 0 && matchLine(patterns[0], lines[0]) && matchLines(patterns[1:], lines[1:])
}
