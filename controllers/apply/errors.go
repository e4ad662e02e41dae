package apply

import "fmt"

// NotOursError tells that an object which the operator needs to write exists and belongs to
// someone else. It is left untouched.
type NotOursError struct {
	Kind string
	Name string
}

// Error names the object and what to do about it.
func (e *NotOursError) Error() string {
	return fmt.Sprintf("%s %s exists and is not ours: rename or delete it", e.Kind, e.Name)
}
