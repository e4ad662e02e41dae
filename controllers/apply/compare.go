package apply

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// upToDate reports whether applying want to live would change nothing: live has every value
// of want, and we own no field that want has dropped. It needs no schema, so it may say no
// where the API server would find nothing to do (an element that someone else added to a
// list); the server then writes nothing.
func upToDate(live client.Object, want *unstructured.Unstructured) (bool, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
	if err != nil {
		return false, fmt.Errorf("read fields of %s: %w", describe(want), err)
	}
	desired := make(map[string]any, len(want.Object))
	for name, value := range want.Object {
		// The type of a live object is known by its Go type and left out of it.
		if name != "apiVersion" && name != "kind" {
			desired[name] = value
		}
	}
	if !covers(content, desired) {
		return false, nil
	}
	owned, err := ownedFields(live)
	if err != nil || owned == nil {
		return false, err
	}
	return !ownsMore(owned, want.Object), nil
}

// covers reports whether live has every value of want. A mapping must be there even when it
// is empty: an empty selector chooses everything, an absent one nothing.
func covers(live, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		live, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for name, value := range want {
			if !covers(live[name], value) {
				return false
			}
		}
		return true
	case []any:
		live, _ := live.([]any)
		if len(live) != len(want) {
			return false
		}
		for i := range want {
			if !covers(live[i], want[i]) {
				return false
			}
		}
		return true
	default:
		return want == nil || reflect.DeepEqual(number(live), number(want))
	}
}

// number makes numbers comparable whatever their Go type.
func number(v any) any {
	switch n := v.(type) {
	case int:
		return float64(n)
	case int32:
		return float64(n)
	case int64:
		return float64(n)
	default:
		return v
	}
}

// ownedFields is the field set of our last apply, nil when there was none.
func ownedFields(live client.Object) (map[string]any, error) {
	for _, entry := range live.GetManagedFields() {
		if entry.Manager != FieldOwner || entry.Operation != metav1.ManagedFieldsOperationApply ||
			entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		owned := map[string]any{}
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned); err != nil {
			return nil, fmt.Errorf("read managed fields of %s: %w", live.GetName(), err)
		}
		return owned, nil
	}
	return nil, nil
}

// ownsMore reports whether the field set has a field that want has not. Field sets are nested
// objects whose keys say what they select: "f:" a field, "k:" the list element with these
// keys, "v:" the list element of this value, "." the parent itself.
func ownsMore(owned map[string]any, want any) bool {
	for selector, children := range owned {
		if selector == "." {
			continue
		}
		selected, found := pick(selector, want)
		if !found {
			return true
		}
		if children, _ := children.(map[string]any); len(children) > 0 && ownsMore(children, selected) {
			return true
		}
	}
	return false
}

// pick finds what a selector of a field set selects in want.
func pick(selector string, want any) (selected any, found bool) {
	kind, rest, _ := strings.Cut(selector, ":")
	switch kind {
	case "f":
		fields, _ := want.(map[string]any)
		selected, found = fields[rest]
		return selected, found
	case "k":
		var keys map[string]any
		if json.Unmarshal([]byte(rest), &keys) != nil {
			return nil, false
		}
		return find(want, func(element any) bool { return covers(element, keys) })
	case "v":
		var value any
		if json.Unmarshal([]byte(rest), &value) != nil {
			return nil, false
		}
		return find(want, func(element any) bool { return reflect.DeepEqual(number(element), number(value)) })
	default:
		return nil, false
	}
}

func find(list any, matches func(any) bool) (any, bool) {
	elements, _ := list.([]any)
	for _, element := range elements {
		if matches(element) {
			return element, true
		}
	}
	return nil, false
}
