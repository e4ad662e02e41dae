package share

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

func TestPodsTogetherStayWithinARate(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 3, 14, 100, 1_000_000} {
		for _, pods := range []int{1, 2, 3, 7, 100} {
			for _, whole := range []config.Rate{{Messages: n, Period: time.Second}, {Recipients: n, Period: 24 * time.Hour}} {
				got := Rate(whole, pods)
				if (got.Messages == 0) != (whole.Messages == 0) || got.Messages+got.Recipients < 1 {
					t.Fatalf("%+v among %d is %+v", whole, pods, got)
				}
				together := float64((got.Messages+got.Recipients)*pods) / got.Period.Seconds()
				allowed := float64(n) / whole.Period.Seconds()
				if together > allowed || together < allowed/2 {
					t.Errorf("%+v among %d is %+v: %.3f a second, of %.3f", whole, pods, got, together, allowed)
				}
			}
		}
	}
}

func TestRatesOfTheAPI(t *testing.T) {
	t.Parallel()
	got := Rates(ptr.To[int32](14), ptr.To[int32](3), nil, 4)
	want := []config.Rate{{Messages: 3, Period: time.Minute}, {Recipients: 1, Period: 80 * time.Second}}
	if !slices.Equal(got, want) {
		t.Errorf("Rates = %+v, want %+v", got, want)
	}
	got = Rates(nil, ptr.To[int32](9), &metav1.Duration{Duration: time.Second}, 1)
	if want := []config.Rate{{Recipients: 9, Period: time.Second}}; !slices.Equal(got, want) {
		t.Errorf("Rates = %+v, want %+v", got, want)
	}
}

func TestEachPodHasAtLeastOneConnection(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ n, pods, want int }{{10, 1, 10}, {10, 3, 3}, {3, 3, 1}, {3, 5, 1}} {
		if got := Count(tc.n, tc.pods); got != tc.want {
			t.Errorf("Count(%d, %d) = %d, want %d", tc.n, tc.pods, got, tc.want)
		}
	}
}
