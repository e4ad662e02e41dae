package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
)

func TestTheLogShowsWhatCannotBeSeen(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		for name, value := range map[string]string{
			"line ends":       "a\r\nb\vc\fd\u0085e\u2028f\u2029g",
			"terminal codes":  "a\x1b[2Jb\u009b2Jc\x7fd\x00e",
			"other direction": "a\u202eb\u200fc\ufeffd",
			"beyond 16 bits":  "a\U000e0001b",
			"not UTF-8":       "a\xff\xc2b",
		} {
			var out bytes.Buffer
			logger, err := newLogger(&out, format, slog.LevelInfo)
			if err != nil {
				t.Fatal(err)
			}
			logger.Info("login failed", "claimed_user", value)
			line, ended := strings.CutSuffix(out.String(), "\n")
			if !ended || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s, %s: %q", format, name, line)
			}
		}
	}
}

func TestVisibleTextStaysAsItIs(t *testing.T) {
	t.Parallel()
	const value = "Zoë 山田 <b>&\t\"\\ 🙂\u0085"
	var out bytes.Buffer
	logger, err := newLogger(&out, "json", slog.LevelInfo)
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("hello", "value", value)
	var line struct{ Value string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Value != value {
		t.Errorf("%s is read as %q, %v", out.String(), line.Value, err)
	}
	if !strings.Contains(out.String(), "Zoë 山田") {
		t.Errorf("letters are escaped: %s", out.String())
	}
}

func TestVisibleReportsWhatWasNotWritten(t *testing.T) {
	t.Parallel()
	if _, err := (visible{closedFile(t)}).Write([]byte("x\n")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func closedFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return f
}

func TestTheLogNamesTheUnitOfDurations(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{"json": `"duration_seconds":0.0215`, "text": "duration=21.5ms"} {
		var out bytes.Buffer
		logger, err := newLogger(&out, format, slog.LevelInfo)
		if err != nil {
			t.Fatal(err)
		}
		logger.Info("delivery", "duration", 21500*time.Microsecond)
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: %s lacks %s", format, out.String(), want)
		}
	}
}
