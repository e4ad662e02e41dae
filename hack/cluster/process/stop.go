package process

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

const poll = 20 * time.Millisecond

// Stop asks the process to end, waits for as long as grace, then kills it. It
// does nothing to a process that merely has the same number.
func Stop(identity Identity, grace time.Duration) error {
	if !identity.Alive() {
		return nil
	}
	if err := signal(identity, syscall.SIGTERM); err != nil {
		return err
	}
	if gone(identity, grace) {
		return nil
	}
	if err := signal(identity, syscall.SIGKILL); err != nil {
		return err
	}
	const killTakes = 10 * time.Second
	if !gone(identity, killTakes) {
		return fmt.Errorf("process %d does not end, even when killed", identity.PID)
	}
	return nil
}

func signal(identity Identity, s syscall.Signal) error {
	err := syscall.Kill(identity.PID, s)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process %d: %w", identity.PID, err)
	}
	return nil
}

func gone(identity Identity, within time.Duration) bool {
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(poll) {
		if !identity.Alive() {
			return true
		}
	}
	return !identity.Alive()
}
