// Package share divides limits of a whole relay among its pods.
package share

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Count is a pod's share of n, rounded down, but at least one.
func Count(n, pods int) int { return max(n/pods, 1) }

// Rates are a pod's share of a rate of the API; a period that is not set is a minute.
func Rates(messages, recipients *int32, period *metav1.Duration, pods int) []config.Rate {
	each := time.Minute
	if period != nil {
		each = period.Duration
	}
	var rates []config.Rate
	if messages != nil {
		rates = append(rates, Rate(config.Rate{Messages: int(*messages), Period: each}, pods))
	}
	if recipients != nil {
		rates = append(rates, Rate(config.Rate{Recipients: int(*recipients), Period: each}, pods))
	}
	return rates
}

// Rate is a pod's share of a rate of messages or of recipients, rounded down. What is less than
// one for each pod becomes one in a longer period.
func Rate(r config.Rate, pods int) config.Rate {
	n := r.Messages + r.Recipients
	shared := max(n/pods, 1)
	if n < pods {
		r.Period = (r.Period*time.Duration(pods) + time.Duration(n) - 1) / time.Duration(n)
	}
	if r.Messages != 0 {
		r.Messages = shared
	} else {
		r.Recipients = shared
	}
	return r
}
