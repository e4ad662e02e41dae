//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// outage is how long the upstream is away.
const outage = time.Minute

func TestMailSurvivesAnOutageOfTheUpstreamAndSIGKILL(t *testing.T) {
	t.Parallel()
	s := newSite(t, "durable")
	p := newProvider(t, newSite(t, "outage"))
	s.startRelay(t, p, newRelay(p))
	a := s.startApp(t, defaultUser)

	p.scale(t, 0)
	down := time.Now()
	prefix := s.namespace + " "
	a.python(t, sendMany, sender, recipient, prefix, "200")
	sent := make([]string, 200)
	for i := range sent {
		sent[i] = fmt.Sprint(prefix, i)
	}
	s.kill(t, relayPod)
	s.waitQueue(t, 200)
	time.Sleep(outage - time.Since(down))
	p.scale(t, 1)
	p.waitForMail(t, 3*time.Minute, prefix, sent)
	s.waitQueue(t, 0)
}

// kill ends the relay's process with SIGKILL, and waits until the kubelet has started it
// again. Only the host of the cluster can: a process is safe from signals of its own
// namespace when it is the first one there.
func (s *site) kill(t *testing.T, name string) {
	t.Helper()
	pod := s.pod(t, name)
	before := restarts(pod)
	_, container, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	process := processOf(container)
	if process == 0 {
		t.Skip("the cluster runs on another host, where nothing here may kill the relay's process: \"make e2e\" without CONTEXT runs this test")
	}
	if err := syscall.Kill(process, syscall.SIGKILL); err != nil {
		t.Fatalf("killing the relay: %v", err)
	}
	waitFor(t, time.Minute, "the relay to start again", func(ctx context.Context) (bool, string) {
		err := s.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		return err == nil && restarts(pod) == before+1 && pod.Status.ContainerStatuses[0].Ready,
			fmt.Sprintf("%d restarts, error %v", restarts(pod)-before, err)
	})
	if ended := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; ended == nil || ended.ExitCode != 137 {
		t.Errorf("the relay ended as %v, want SIGKILL's 137", ended)
	}
}

// processOf is the process of a container on this host, or 0.
func processOf(container string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cgroup")
	for _, file := range files {
		// A process that has ended since is not the one.
		text, _ := os.ReadFile(file)
		if container != "" && strings.Contains(string(text), container) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			return pid
		}
	}
	return 0
}

// waitQueue waits until the relay's status tells of this many messages. It is written at
// most once a minute.
func (s *site) waitQueue(t *testing.T, messages int64) {
	t.Helper()
	waitFor(t, 2*time.Minute, fmt.Sprintf("status.queue of %d messages", messages), func(ctx context.Context) (bool, string) {
		var relay v1alpha1.MailRelay
		err := s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: relayName}, &relay)
		queue := relay.Status.Queue
		return err == nil && queue != nil && queue.Messages == messages, fmt.Sprintf("%+v, error %v", queue, err)
	})
}
