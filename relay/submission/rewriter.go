package submission

import (
	"sync/atomic"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
	"github.com/mailrelay-dev/mailrelay-operator/relay/message"
)

// rewriters keeps the Rewriter of the configuration in use, which each message needs twice. The
// zero rewriters is ready for use.
type rewriters struct {
	last atomic.Pointer[configuredRewriter]
}

type configuredRewriter struct {
	message.Rewriter
	config *config.Config
}

// of returns the Rewriter that a configuration asks for. A configuration is never changed once it
// is in use, so that the same pointer means the same Rewriter.
func (r *rewriters) of(c *config.Config) *message.Rewriter {
	last := r.last.Load()
	if last == nil || last.config != c {
		last = &configuredRewriter{config: c, Rewriter: message.Rewriter{QualifyDomain: c.Message.QualifyDomain}}
		for _, rule := range c.Message.Rewrite {
			last.Rules = append(last.Rules, message.Rule(rule))
		}
		r.last.Store(last)
	}
	return &last.Rewriter
}
