package submission

import (
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestRewriterIsMadeOncePerConfiguration(t *testing.T) {
	t.Parallel()
	var r rewriters
	old := &config.Config{Message: config.Message{QualifyDomain: "old.example"}}
	renewed := &config.Config{Message: config.Message{
		QualifyDomain: "new.example", Rewrite: []config.Rewrite{{Match: "root@new.example", To: "admin@new.example"}},
	}}
	for _, step := range []struct {
		config *config.Config
		want   string
	}{{old, "root@old.example"}, {renewed, "admin@new.example"}, {old, "root@old.example"}} {
		made := r.of(step.config)
		if got := made.Sender("root"); got != step.want {
			t.Errorf("root became %s, want %s", got, step.want)
		}
		if r.of(step.config) != made {
			t.Error("the rewriter is made anew for the same configuration")
		}
	}
}
