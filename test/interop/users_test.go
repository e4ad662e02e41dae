//go:build interop

package interop

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// setUsers makes a user of each attempt, with the same password, a token of its own and a
// certificate.
func (s *site) setUsers(t *testing.T, all []*attempt) {
	t.Helper()
	s.setUser(t, user, s.password, "example.com")
	file := filepath.Join(s.dir, "users", "users.yaml")
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, entry, ok := strings.Cut(string(content), "  - name: "+user+"\n")
	if !ok {
		t.Fatalf("no user in:\n%s", content)
	}
	var users strings.Builder
	users.WriteString(head)
	for _, a := range all {
		fmt.Fprintf(&users, "  - name: %s\n    tokens: [%x]\n    certificates: [%q]\n%s", a.user, sha256.Sum256([]byte(a.token)), "CN:"+a.user, entry)
	}
	write(t, file, users.String())
}

// config is the content of the configuration file.
func (s *site) config(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(s.configFile())
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
