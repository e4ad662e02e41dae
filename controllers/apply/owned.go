package apply

import (
	"encoding/json"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Managers are the field managers to whom a field of a live object belongs, sorted: those who
// set the value that it has. A path is one of names, such as "data", "password".
func Managers(live client.Object, path ...string) []string {
	var managers []string
	for _, entry := range live.GetManagedFields() {
		if entry.Subresource != "" || entry.FieldsV1 == nil {
			continue
		}
		var fields any
		if json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) == nil && hasField(fields, path) {
			managers = append(managers, entry.Manager)
		}
	}
	slices.Sort(managers)
	return slices.Compact(managers)
}

func hasField(fields any, path []string) bool {
	for _, name := range path {
		children, _ := fields.(map[string]any)
		child, found := children["f:"+name]
		if !found {
			return false
		}
		fields = child
	}
	return true
}

// Owns reports whether a field has the value that the operator wrote. Whoever gives it another
// takes it over, until it is applied anew.
func Owns(live client.Object, path ...string) bool {
	return slices.Contains(Managers(live, path...), FieldOwner)
}
