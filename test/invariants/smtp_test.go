package invariants

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const smtpReference = "../../docs/reference/smtp.md"

// namedTest is a test as docs/reference/smtp.md names it: package and function.
var namedTest = regexp.MustCompile("`([a-z]+)\\.((?:Test|Fuzz)\\w+)`")

// relayTests are all tests of the relay, as namedTest writes them.
func relayTests(t *testing.T) map[string]bool {
	t.Helper()
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	tests := map[string]bool{}
	for _, pattern := range []string{"../../relay/*_test.go", "../../relay/*/*_test.go", "../../relay/*/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("no test files in %s: %v", pattern, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllSubmatch(content, -1) {
				tests[filepath.Base(filepath.Dir(file))+"."+string(m[1])] = true
			}
		}
	}
	return tests
}

// Each row of a table that says "shown by" names a test, and every test that is named exists.
func TestSMTPReferenceNamesRealTests(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(smtpReference)
	if err != nil {
		t.Fatal(err)
	}
	tests := relayTests(t)
	rows, shown := 0, false
	for i, line := range strings.Split(string(content), "\n") {
		names := namedTest.FindAllStringSubmatch(line, -1)
		for _, name := range names {
			if full := name[1] + "." + name[2]; !tests[full] {
				t.Errorf("line %d names %s, which is not there", i+1, full)
			}
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			shown = false
		case strings.HasSuffix(line, "| shown by |"):
			shown = true
		case shown && !strings.HasPrefix(line, "|---"):
			rows++
			if len(names) == 0 {
				t.Errorf("line %d claims what no test shows: %s", i+1, line)
			}
		}
	}
	if rows < 50 {
		t.Errorf("found %d rows; the tables are not read right", rows)
	}
}

func TestSMTPReferenceCoversTheStandards(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(smtpReference)
	if err != nil {
		t.Fatal(err)
	}
	for _, rfc := range []string{
		"6409", "8314", "5321", "3207", "4954", "4616", "5802", "7677", "7628", "3461", "3464", "6152", "6531", "1870", "2920",
		"3030", "2034", "3463", "5248", "3848", "8689", "4865", "2852", "6710", "8461", "7672", "8460", "6376", "8601", "9325", "6186", "9422",
	} {
		if !regexp.MustCompile(`(?m)^\|.*\b` + rfc + `\b`).Match(content) {
			t.Errorf("no row of %s is about RFC %s", smtpReference, rfc)
		}
	}
}
