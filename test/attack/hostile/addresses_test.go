package hostile

import "testing"

func TestWithoutRoute(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"@a.test:r@evil.test": "r@evil.test", "@a,@[IPv6:::1]:r@evil.test": "r@evil.test", "r@evil.test": "r@evil.test", "": "",
	} {
		if got := WithoutRoute(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}
