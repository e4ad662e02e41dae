//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestStatusTellsTheStory(t *testing.T) {
	t.Parallel()
	p, s := commonProvider(t), newSite(t, "status")
	relay := newRelay(p)
	s.startRelay(t, p, relay)
	waitFor(t, time.Minute, "the columns of kubectl get", func(ctx context.Context) (bool, string) {
		row, err := s.row(ctx)
		return err == nil && row["Ready"] == "True" && fmt.Sprint(row["Replicas"]) == "1" &&
			fmt.Sprint(row["Queue"]) == "0" && row["Age"] != nil, fmt.Sprint(row, err)
	})
	s.get(t, relayName, relay)
	var got []string
	for _, e := range relay.Status.Endpoints {
		got = append(got, fmt.Sprintf("%s:%d %s", e.Host, e.Port, e.TLS))
	}
	host := relayName + "." + s.namespace + ".svc"
	if want := []string{host + ":465 Implicit", host + ":587 StartTLS"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("endpoints %q, want %q", got, want)
	}
	var events corev1.EventList
	if err := s.List(t.Context(), &events, client.InNamespace(s.namespace)); err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if e.InvolvedObject.Kind == "MailRelay" && e.InvolvedObject.Name == relayName {
			return
		}
	}
	t.Error("no event tells what happened to the MailRelay")
}

// row is the relay as "kubectl get mailrelay" prints it: a cell for each column.
func (s *site) row(ctx context.Context) (map[string]any, error) {
	raw, err := s.typed.CoreV1().RESTClient().Get().
		AbsPath("/apis/mailrelay.dev/v1alpha1/namespaces", s.namespace, "mailrelays", relayName).
		SetHeader("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil {
		return nil, err
	}
	row := map[string]any{}
	for i, column := range table.ColumnDefinitions {
		row[column.Name] = table.Rows[0].Cells[i]
	}
	return row, nil
}
