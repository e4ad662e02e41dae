package served

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"syscall"
)

// cause says why a port does not answer. It says the same of the same trouble each time, without
// the addresses in the error, since the port of the looking end is another one at each look.
func cause(err error) string {
	reply, errno := (*textproto.Error)(nil), syscall.Errno(0)
	switch {
	case errors.As(err, &reply):
		return fmt.Sprintf("it says %d %s", reply.Code, reply.Msg)
	// The look closes what is open when its time is over.
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed):
		return "nothing came in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "it closes the connection at once, as a relay does that has as many as listeners.maxConnections"
	case errors.As(err, &errno):
		return errno.Error()
	}
	for op := (*net.OpError)(nil); errors.As(err, &op); {
		err = op.Err
	}
	return err.Error()
}
