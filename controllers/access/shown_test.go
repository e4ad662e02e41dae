package access

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

func TestStatusShowsTheLimitsThatHold(t *testing.T) {
	t.Parallel()
	size := func(s string) *resource.Quantity { return ptr.To(resource.MustParse(s)) }
	relay := relayWith(nil)
	relay.Spec.Message.MaxSize, relay.Spec.Message.MaxRecipients = size("25Mi"), ptr.To[int32](100)
	relay.Spec.Message.Recipients.Deny = []string{"example.org"}
	many := make([]string, 10)
	for i := range many {
		many[i] = fmt.Sprintf("a%d.example", i)
	}
	hour := &metav1.Duration{Duration: time.Hour}
	d := Decision{Limits: []v1alpha1.SendingLimits{
		{MaxSize: size("10Mi"), Rate: &v1alpha1.Rate{Messages: ptr.To[int32](5), Recipients: ptr.To[int32](50), OnExceed: "Refuse", MaxQueued: ptr.To[int32](20)}},
		{MaxRecipients: ptr.To[int32](7), Rate: &v1alpha1.Rate{Messages: ptr.To[int32](90), Period: hour, MaxQueued: ptr.To[int32](30)},
			Recipients: v1alpha1.UserRecipients{Allow: many}},
	}}
	got := d.Shown(relay)
	if got.MaxSize.String() != "10Mi" || got.MaxRecipients != 7 || got.MaxQueued != 20 || got.OnExceed != "Refuse" {
		t.Errorf("shown %+v", got)
	}
	if rates := strings.Join(got.Rates, "; "); rates != "5 messages in 1m; 50 recipients in 1m; 90 messages in 1h" {
		t.Errorf("rates %q", rates)
	}
	want := []string{"not example.org", "only " + strings.Join(many[:8], ", ") + " and 2 more"}
	if fmt.Sprint(got.Recipients) != fmt.Sprint(want) {
		t.Errorf("recipients %q, want %q", got.Recipients, want)
	}
	d.foreign = true
	want[0] = "not what the relay itself lists (1)"
	if got := d.Shown(relay).Recipients; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("recipients %q in another namespace, want %q", got, want)
	}
	if (Decision{Reason: "NotLetIn"}).Shown(relay) != nil {
		t.Error("limits are shown of a user who is refused")
	}
}
