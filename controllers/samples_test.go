package controllers

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// Samples are copied, so the API server and the relay must take them as they are.
func TestSamplesAreAccepted(t *testing.T) {
	c, namespace := onCluster(t)
	var files []string
	for pattern, least := range map[string]int{"../config/samples/*.yaml": 4, "../docs/samples/*/*/*.yaml": 2} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) < least {
			t.Fatalf("found %d samples %s, %v", len(found), pattern, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		for _, sample := range readSample(t, file) {
			sample.SetNamespace(namespace)
			if err := c.Create(t.Context(), sample.DeepCopy(), client.DryRunAll, client.FieldValidation("Strict")); err != nil {
				t.Errorf("%s: %v", file, err)
			}
			if sample.GetKind() != "MailRelay" {
				continue
			}
			relay := &v1alpha1.MailRelay{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(sample.Object, relay); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if _, invalid := render(resources.RelayConfig(relay, "cluster.local")); invalid != "" {
				t.Errorf("%s: %s", file, invalid)
			}
		}
	}
}

func readSample(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	decoder := yaml.NewYAMLOrJSONDecoder(content, 4096)
	var all []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, object)
	}
}
