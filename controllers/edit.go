package controllers

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/apply"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

// edit is what somebody changed of a Secret that is the operator's.
type edit struct {
	// what are the keys and labels that are put right.
	what []string
	// by are the field managers who did it, as far as the API server knows.
	by []string
}

// sentence says what was put right in a Secret, and never what was in it.
func (e edit) sentence(secret string) string {
	who := "somebody"
	if len(e.by) > 0 {
		who = strings.Join(e.by, ", ")
	}
	return fmt.Sprintf("Secret %s was changed by %s, and is put right: %s", secret, who, strings.Join(e.what, ", "))
}

// editOf finds what differs from what is wanted and is not the operator's own: a field that it
// wrote and that is wanted otherwise now has not been edited.
func editOf(live *corev1.Secret, want *corev1ac.SecretApplyConfiguration) edit {
	var e edit
	if live == nil {
		return e
	}
	if live.Type != *want.Type {
		e.what = append(e.what, "type")
	}
	if live.Immutable != nil && *live.Immutable {
		e.add(live, "immutable", "immutable")
	}
	for _, key := range slices.Sorted(maps.Keys(want.Data)) {
		value, found := live.Data[key]
		// A key that is missing may be one that is new.
		gone := !found && resources.AlwaysInCredentials(key)
		if (found && !bytes.Equal(value, want.Data[key]) || gone) && !apply.Owns(live, "data", key) {
			e.add(live, key, "data", key)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want.Labels)) {
		if live.Labels[name] != want.Labels[name] && !apply.Owns(live, "metadata", "labels", name) {
			e.add(live, "label "+name, "metadata", "labels", name)
		}
	}
	slices.Sort(e.by)
	e.by = slices.Compact(e.by)
	return e
}

func (e *edit) add(live *corev1.Secret, what string, path ...string) {
	e.what = append(e.what, what)
	e.by = append(e.by, apply.Managers(live, path...)...)
}
