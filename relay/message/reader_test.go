package message

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func readLines(src io.Reader) (string, bool, error) {
	l := new(lineReader)
	l.reset(src)
	out, err := io.ReadAll(l)
	return string(out), l.eightBit, err
}

func TestLineReaderEndsEveryLineWithCRLF(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"a\r\n", "a\r\n"},
		{"a\n", "a\r\n"},
		{"a", "a\r\n"},
		{"\n\n", "\r\n\r\n"},
		{"a\r\n\nb\n\r\nc", "a\r\n\r\nb\r\n\r\nc\r\n"},
		{"a\n.\nb\r\n", "a\r\n.\r\nb\r\n"},
		{strings.Repeat("x", 100_000) + "\n", strings.Repeat("x", 100_000) + "\r\n"},
		{strings.Repeat("\n", 20_000), strings.Repeat("\r\n", 20_000)},
	} {
		for name, src := range map[string]io.Reader{
			"at once":    strings.NewReader(tc.in),
			"in bytes":   iotest.OneByteReader(strings.NewReader(tc.in)),
			"with error": iotest.DataErrReader(strings.NewReader(tc.in)),
		} {
			got, eightBit, err := readLines(src)
			if err != nil || got != tc.want || eightBit {
				t.Errorf("%s: %.40q became %.40q, %v, %v", name, tc.in, got, eightBit, err)
			}
		}
	}
}

func TestLineReaderRefuses(t *testing.T) {
	t.Parallel()
	cut := errors.New("cut")
	for _, tc := range []struct {
		name string
		src  io.Reader
		want error
	}{
		{"bare CR", strings.NewReader("a\rb\r\n"), ErrBareCR},
		{"CR CR LF", strings.NewReader("a\r\r\n"), ErrBareCR},
		{"CR at the end", strings.NewReader("a\r"), ErrBareCR},
		{"CR between buffers", io.MultiReader(strings.NewReader("a\r"), strings.NewReader("b\n")), ErrBareCR},
		{"NUL", strings.NewReader("a\x00b\r\n"), ErrNUL},
		{"cut off", io.MultiReader(strings.NewReader("a\r\nb"), iotest.ErrReader(cut)), cut},
		{"cut off after CR", io.MultiReader(strings.NewReader("a\r"), iotest.ErrReader(cut)), cut},
		{"unexpected end", iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab"))), iotest.ErrTimeout},
	} {
		if _, _, err := readLines(tc.src); !errors.Is(err, tc.want) {
			t.Errorf("%s: error %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestLineReaderSeesEightBit(t *testing.T) {
	t.Parallel()
	if _, eightBit, err := readLines(strings.NewReader("gr\xfc\xdfe\r\n")); err != nil || !eightBit {
		t.Errorf("eightBit %v, %v", eightBit, err)
	}
}

func FuzzLineReader(f *testing.F) {
	for _, s := range []string{
		"a\r\nb\n", "\r\r\n", "\n.\n", "a\x00", "\r\n.\r", "x\xff\n",
		"a line of words\r\nanother \xe4\nand \xf6 one more without an end", "sixteen octets--\r\n\teight oc\x00",
	} {
		f.Add([]byte(s), 1)
		f.Add([]byte(s), 7)
	}
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		out, eightBit, err := readLines(bytes.NewReader(in))
		l := new(lineReader)
		l.reset(iotest.OneByteReader(bytes.NewReader(in)))
		var slow bytes.Buffer
		_, slowErr := io.CopyBuffer(&slow, struct{ io.Reader }{l}, make([]byte, 1+(size&63)))
		if slow.String() != out || !errors.Is(slowErr, err) {
			t.Fatalf("cut into pieces: %q, %v; at once: %q, %v", slow.String(), slowErr, out, err)
		}
		if bare := strings.ReplaceAll(out, "\r\n", ""); strings.ContainsAny(bare, "\r\n\x00") {
			t.Fatalf("%q came out", out)
		}
		if err != nil {
			return
		}
		if high := strings.ContainsFunc(latin1(in), func(r rune) bool { return r > 127 }); eightBit != high {
			t.Fatalf("%q is eight-bit: %v", in, eightBit)
		}
		unix := strings.ReplaceAll(string(in), "\r\n", "\n")
		if unix != "" && !strings.HasSuffix(unix, "\n") {
			unix += "\n"
		}
		if strings.ReplaceAll(out, "\r\n", "\n") != unix {
			t.Fatalf("%q became %q", in, out)
		}
	})
}

// latin1 makes a character of each octet.
func latin1(in []byte) string {
	var out strings.Builder
	for _, c := range in {
		out.WriteRune(rune(c))
	}
	return out.String()
}

func BenchmarkLineReader(b *testing.B) {
	body := []byte(strings.Repeat(strings.Repeat("x", 76)+"\r\n", 1000))
	b.SetBytes(int64(len(body)))
	l := new(lineReader)
	for b.Loop() {
		l.reset(bytes.NewReader(body))
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{l}); err != nil {
			b.Fatal(err)
		}
	}
}
