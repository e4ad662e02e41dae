package access

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func messages(n int32, period time.Duration) *v1alpha1.Rate {
	return &v1alpha1.Rate{Messages: &n, Period: &metav1.Duration{Duration: period}, OnExceed: "Pace"}
}

func TestLimitsOfRulesAndUserAllHold(t *testing.T) {
	t.Parallel()
	size := func(s string) *resource.Quantity { q := resource.MustParse(s); return &q }
	for _, tc := range []struct {
		name  string
		rules []v1alpha1.SendingLimits
		own   v1alpha1.SendingLimits
		pods  int32
		want  config.User
	}{
		{name: "no limits", rules: []v1alpha1.SendingLimits{{}}, pods: 3},
		{name: "a rule's rate",
			rules: []v1alpha1.SendingLimits{{Rate: messages(14, time.Minute)}}, pods: 1,
			want: config.User{MaxQueued: 10000, Rates: []config.Rate{{Messages: 14, Period: time.Minute}}}},
		{name: "a rate without a period is for a minute",
			rules: []v1alpha1.SendingLimits{{Rate: &v1alpha1.Rate{Recipients: ptr.To[int32](5)}}}, pods: 1,
			want: config.User{MaxQueued: 10000, Rates: []config.Rate{{Recipients: 5, Period: time.Minute}}}},
		{name: "a user adds to a rule's rate",
			rules: []v1alpha1.SendingLimits{{Rate: messages(14, time.Minute)}}, pods: 1,
			own:  v1alpha1.SendingLimits{Rate: messages(100, time.Hour)},
			want: config.User{MaxQueued: 10000, Rates: []config.Rate{{Messages: 14, Period: time.Minute}, {Messages: 100, Period: time.Hour}}}},
		{name: "every rule holds", pods: 1,
			rules: []v1alpha1.SendingLimits{{Rate: messages(14, time.Minute)}, {}, {Rate: messages(9, time.Second)}},
			want:  config.User{MaxQueued: 10000, Rates: []config.Rate{{Messages: 14, Period: time.Minute}, {Messages: 9, Period: time.Second}}}},
		{name: "pods share, rounded down",
			rules: []v1alpha1.SendingLimits{{Rate: &v1alpha1.Rate{
				Messages: ptr.To[int32](14), Recipients: ptr.To[int32](100), MaxQueued: ptr.To[int32](1000), OnExceed: "Refuse"}}},
			pods: 3,
			want: config.User{OnExceed: "Refuse", MaxQueued: 333,
				Rates: []config.Rate{{Messages: 4, Period: time.Minute}, {Recipients: 33, Period: time.Minute}}}},
		{name: "a user does not widen the quota that a rule leaves out", pods: 1,
			rules: []v1alpha1.SendingLimits{{Rate: messages(10, time.Minute)}},
			own:   v1alpha1.SendingLimits{Rate: &v1alpha1.Rate{Messages: ptr.To[int32](10), MaxQueued: ptr.To[int32](1_000_000)}},
			want: config.User{MaxQueued: 10000,
				Rates: []config.Rate{{Messages: 10, Period: time.Minute}, {Messages: 10, Period: time.Minute}}}},
		{name: "a user narrows the quota that a rule leaves out", pods: 1,
			rules: []v1alpha1.SendingLimits{{Rate: messages(10, time.Minute)}},
			own:   v1alpha1.SendingLimits{Rate: &v1alpha1.Rate{Messages: ptr.To[int32](10), MaxQueued: ptr.To[int32](7)}},
			want: config.User{MaxQueued: 7,
				Rates: []config.Rate{{Messages: 10, Period: time.Minute}, {Messages: 10, Period: time.Minute}}}},
		{name: "a rule widens the quota of each pod", pods: 1,
			rules: []v1alpha1.SendingLimits{{Rate: &v1alpha1.Rate{Messages: ptr.To[int32](10), MaxQueued: ptr.To[int32](50_000)}}},
			want:  config.User{MaxQueued: 50_000, Rates: []config.Rate{{Messages: 10, Period: time.Minute}}}},
		{name: "fewer than pods are shared over time",
			rules: []v1alpha1.SendingLimits{{Rate: messages(2, time.Minute)}}, pods: 5,
			want: config.User{MaxQueued: 10000, Rates: []config.Rate{{Messages: 1, Period: 150 * time.Second}}}},
		{name: "the slowest of the largest relay is valid",
			rules: []v1alpha1.SendingLimits{{Rate: messages(1, 24*time.Hour)}}, pods: 100,
			want: config.User{MaxQueued: 10000, Rates: []config.Rate{{Messages: 1, Period: 2400 * time.Hour}}}},
		{name: "a relay without pods", rules: []v1alpha1.SendingLimits{{Rate: messages(14, time.Minute)}}, pods: 0,
			want: config.User{MaxQueued: 10000, Rates: []config.Rate{{Messages: 14, Period: time.Minute}}}},
		{name: "the smallest size and number of recipients", pods: 3,
			rules: []v1alpha1.SendingLimits{{MaxSize: size("2Mi"), MaxRecipients: ptr.To[int32](7)}, {MaxSize: size("1Mi")}},
			own:   v1alpha1.SendingLimits{MaxSize: size("3Mi"), MaxRecipients: ptr.To[int32](5)},
			want:  config.User{MaxSize: 1 << 20, MaxRecipients: 5}},
		{name: "a size below nothing is not without bound", pods: 1,
			rules: []v1alpha1.SendingLimits{{MaxSize: size("-1")}}, own: v1alpha1.SendingLimits{MaxSize: size("0")},
			want: config.User{MaxSize: 1 << 10}},
		{name: "every list of recipients", pods: 1,
			rules: []v1alpha1.SendingLimits{{Recipients: v1alpha1.UserRecipients{Allow: []string{"example.net"}}}, {}},
			own:   v1alpha1.SendingLimits{Recipients: v1alpha1.UserRecipients{Deny: []string{"*.example.org"}}},
			want:  config.User{Recipients: []config.Recipients{{Allow: []string{"example.net"}}, {Deny: []string{"*.example.org"}}}}},
		{name: "whoever refuses wins over pacing", pods: 1,
			rules: []v1alpha1.SendingLimits{{Rate: &v1alpha1.Rate{Messages: ptr.To[int32](1), OnExceed: "Refuse"}}},
			own:   v1alpha1.SendingLimits{Rate: messages(5, time.Minute)},
			want: config.User{OnExceed: "Refuse", MaxQueued: 10000,
				Rates: []config.Rate{{Messages: 1, Period: time.Minute}, {Messages: 5, Period: time.Minute}}}},
	} {
		var rules []v1alpha1.AccessRule
		for _, limits := range tc.rules {
			rules = append(rules, v1alpha1.AccessRule{SendingLimits: limits})
		}
		user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "app"}}
		user.Spec.SendingLimits = tc.own
		got := config.User{Name: "app.mail"}
		Decide(relayWith([]string{"example.com"}, rules...), user, nil).Limit(&got, tc.pods)
		tc.want.Name = got.Name
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n%+v, want\n%+v", tc.name, got, tc.want)
		}
		if _, err := config.MarshalUserFile(&config.UserFile{Version: config.Version, Users: []config.User{got}}); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestRecipientThatCannotBeReadLetsNobodyIn(t *testing.T) {
	t.Parallel()
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Namespace: "mail", Name: "app"}}
	user.Spec.Recipients.Deny = []string{"example.net", "a..b"}
	got := Decide(relayWith(nil), user, nil)
	if got.Granted() || got.Reason != "InvalidRecipient" || !strings.Contains(got.Message, `"a..b"`) {
		t.Errorf("Decide = %+v", got)
	}
}
