package dsn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxHeader bounds how much of the original header section is returned.
const maxHeader = 64 << 10

// originalHeader reads a header section up to its empty line, or as many whole lines as fit.
// Its lines end in CRLF, and a CR elsewhere becomes a space. Nothing of the body is
// returned: it may hold what nobody but the recipient should read.
func originalHeader(message io.Reader) ([]byte, error) {
	if message == nil {
		return nil, nil
	}
	limited := &io.LimitedReader{R: message, N: maxHeader}
	in := bufio.NewReader(limited)
	out := new(bytes.Buffer)
	for {
		text, err := in.ReadBytes('\n')
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return nil, err
		}
		if ended && limited.N == 0 {
			return out.Bytes(), nil
		}
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		if len(text) == 0 {
			return out.Bytes(), nil
		}
		out.Write(bytes.ReplaceAll(text, []byte("\r"), []byte(" ")))
		out.WriteString("\r\n")
		if ended {
			return out.Bytes(), nil
		}
	}
}
