package invariants

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "github.com/mailrelay-dev/mailrelay-operator/"

// allowed are the project's own imports that a package may have. A package that is not
// listed may import none of them. "relay/..." means the package and all below it.
var allowed = map[string][]string{
	"api/v1alpha1": {},
	"cmd/manager":  {"api/...", "controllers/...", "relay/config"},
	"cmd/relay":    {"relay/..."},
	"hack/bench":   {"relay/config", "test/stand", "test/traffic"},
	"controllers":  {"api/...", "controllers/...", "relay/config", "relay/provider"},

	"relay":              {"relay/..."},
	"relay/config":       {"relay/provider"},
	"relay/provider":     {},
	"relay/frontdoor":    {},
	"relay/message":      {},
	"relay/message/dkim": {"relay/message"},
	"relay/spool":        {},
	"relay/dsn":          {"relay/spool"},
	"relay/sasl":         {"relay/config"},
	"relay/policy":       {"relay/config", "relay/message"},
	"relay/submission":   {"relay/config", "relay/dsn", "relay/message/...", "relay/policy", "relay/sasl", "relay/spool"},
	"relay/delivery":     {"relay/config", "relay/dsn", "relay/message/...", "relay/policy", "relay/provider", "relay/spool"},
	"relay/admin":        {"relay/config"},
}

func load(t *testing.T) []*packages.Package {
	t.Helper()
	pkgs, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedSyntax,
		Dir:  "../..",
	}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	if len(pkgs) < 5 {
		t.Fatalf("found %d packages; the pattern is wrong", len(pkgs))
	}
	return pkgs
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	for _, pkg := range load(t) {
		from := strings.TrimPrefix(pkg.PkgPath, module)
		for path := range pkg.Imports {
			to, ours := strings.CutPrefix(path, module)
			if ours && !mayImport(from, to) {
				t.Errorf("%s imports %s: the layers allow it only %v", from, to, rule(from))
			}
		}
	}
}

func mayImport(from, to string) bool {
	if strings.HasPrefix(from, "test/") || strings.HasPrefix(to, from+"/internal") {
		return true
	}
	return slices.ContainsFunc(rule(from), func(pattern string) bool {
		tree, isTree := strings.CutSuffix(pattern, "/...")
		return to == pattern || isTree && (to == tree || strings.HasPrefix(to, tree+"/"))
	})
}

// rule is the rule of the package, or of the nearest directory above it that has one.
func rule(from string) []string {
	for {
		if patterns, ok := allowed[from]; ok {
			return patterns
		}
		i := strings.LastIndexByte(from, '/')
		if i < 0 {
			return nil
		}
		from = from[:i]
	}
}

func TestEveryPackageHasADocComment(t *testing.T) {
	t.Parallel()
	for _, pkg := range load(t) {
		documented := false
		for _, file := range pkg.Syntax {
			documented = documented || file.Doc.Text() != ""
		}
		if !documented {
			t.Errorf("%s has no package comment: say in one sentence what its job is", pkg.PkgPath)
		}
	}
}

func TestMayImportKnowsTheLayers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, to string
		want     bool
	}{
		{"controllers", "relay/config", true},
		{"controllers/resources", "relay/config", true},
		{"controllers/resources", "relay/spool", false},
		{"relay/spool", "controllers", false},
		{"relay/config", "api/v1alpha1", false},
		{"relay/frontdoor", "relay/submission", false},
		{"relay", "relay/spool", true},
		{"relay", "relayed", false},
	}
	for _, tt := range tests {
		if got := mayImport(tt.from, tt.to); got != tt.want {
			t.Errorf("mayImport(%q, %q) = %v, want %v", tt.from, tt.to, got, tt.want)
		}
	}
}
