package cluster

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestOnlyOneCommandChangesTheCluster(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the lock is for root: run the test as root")
	}
	ctx := context.Background()
	errInner := errors.New("inner")
	err := Exclusive(ctx, func() error {
		second := Exclusive(ctx, func() error {
			t.Error("two commands run at the same time")
			return nil
		})
		if second == nil || !strings.Contains(second.Error(), "another command") {
			t.Errorf("the second command: %v", second)
		}
		return errInner
	})
	if err != nil && strings.Contains(err.Error(), "another command") {
		t.Skip(err)
	}
	if !errors.Is(err, errInner) {
		t.Errorf("error = %v, want the command's own", err)
	}
}
