package controllers

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	both := func(rotate, leaked string) map[string]string {
		return map[string]string{v1alpha1.AnnotationRotate: rotate, v1alpha1.AnnotationLeaked: leaked}
	}
	for _, tc := range []struct {
		name     string
		asked    map[string]string
		interval time.Duration
		held     record
		absent   bool
		want     replacement
	}{
		{name: "nothing is asked for", held: record{issued: noon.Add(-10 * month)}},
		{name: "no Secret", absent: true, want: replacement{due: true}},
		{name: "no Secret any more, and a request", absent: true, asked: both("1", ""), want: replacement{due: true}},
		{name: "by annotation", asked: both("1", ""), want: replacement{due: true, unhurried: true}},
		{name: "by annotation, done", asked: both("1", ""), held: record{rotate: "1"}},
		{name: "by annotation, again", asked: both("2", ""), held: record{rotate: "1"}, want: replacement{due: true, unhurried: true}},
		{name: "the annotation was taken away", held: record{rotate: "1", leaked: "1"}},
		{name: "leaked", asked: both("", "1"), want: replacement{due: true, atOnce: true}},
		{name: "leaked, done", asked: both("", "1"), held: record{leaked: "1"}},
		{name: "leaked, again", asked: both("", "2"), held: record{leaked: "1"}, want: replacement{due: true, atOnce: true}},
		{name: "leaked beats the rest", asked: both("1", "1"), interval: time.Hour, want: replacement{due: true, atOnce: true}},
		{name: "leaked and gone", asked: both("", "1"), absent: true, want: replacement{due: true, atOnce: true}},
		{name: "the interval is not over", interval: month, held: record{issued: noon.Add(-month * 8 / 10)}},
		{name: "the interval is over", interval: month, held: record{issued: noon.Add(-month)}, want: replacement{due: true, unhurried: true}},
	} {
		user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Annotations: tc.asked}}
		if tc.interval != 0 {
			user.Spec.Rotation = &v1alpha1.Rotation{Interval: &metav1.Duration{Duration: tc.interval}}
		}
		got := judge(user, tc.held, !tc.absent, noon)
		if (got.why == "") == got.due {
			t.Errorf("%s: why is %q", tc.name, got.why)
		}
		if got.why = ""; got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

// Whatever is asked for is answered by what the Secret says after the replacement.
func TestReplacementAnswersWhatAskedForIt(t *testing.T) {
	t.Parallel()
	user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		v1alpha1.AnnotationRotate: "1", v1alpha1.AnnotationLeaked: "1",
	}}}
	user.Spec.Rotation = &v1alpha1.Rotation{Interval: &metav1.Duration{Duration: 2 * time.Hour}, Overlap: &metav1.Duration{Duration: time.Hour}}
	for _, r := range []replacement{{due: true, atOnce: true}, {due: true}} {
		fresh := replacedBy(user, r, noon)
		if again := judge(user, fresh, true, noon); again.due {
			t.Errorf("%+v asks again: %+v", r, again)
		}
		until := noon
		if !r.atOnce {
			until = noon.Add(time.Hour)
		}
		if !fresh.previousUntil.Equal(until) {
			t.Errorf("%+v: the old ones end at %s, want %s", r, fresh.previousUntil, until)
		}
		user.Spec.Rotation.Overlap.Duration = 30 * time.Minute
		if kept := fresh.kept(user); r.atOnce != kept.previousUntil.Equal(noon) || !r.atOnce && !kept.previousUntil.Equal(noon.Add(30*time.Minute)) {
			t.Errorf("%+v: with another overlap they end at %s", r, kept.previousUntil)
		}
		user.Spec.Rotation.Overlap.Duration = time.Hour
	}
}

// What a Secret keeps has no parts of a second: it must read the same as what was written.
func TestOldCredentialsEndOnASecond(t *testing.T) {
	t.Parallel()
	user := &v1alpha1.RelayUser{}
	user.Spec.Rotation = &v1alpha1.Rotation{Overlap: &metav1.Duration{Duration: 1500 * time.Millisecond}}
	fresh := replacedBy(user, replacement{due: true}, noon)
	if want := noon.Add(time.Second); !fresh.previousUntil.Equal(want) || !fresh.kept(user).previousUntil.Equal(want) {
		t.Errorf("they end at %s, and later at %s", fresh.previousUntil, fresh.kept(user).previousUntil)
	}
}

func TestUsersRotateApart(t *testing.T) {
	t.Parallel()
	const interval, users = 100 * time.Hour, 1000
	parts := map[int]int{}
	for i := range users {
		user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{UID: types.UID(fmt.Sprint(i))}}
		user.Spec.Rotation = &v1alpha1.Rotation{Interval: &metav1.Duration{Duration: interval}}
		h := record{issued: noon}
		next := h.next(user)
		if next != h.next(user) {
			t.Fatal("it changes from look to look")
		}
		after := next.Sub(noon)
		if after < interval*9/10 || after > interval {
			t.Fatalf("rotates after %s", after)
		}
		parts[int((after-interval*9/10)/time.Hour)]++
	}
	for part, count := range parts {
		if count > users/5 {
			t.Errorf("%d of %d users rotate in hour %d of ten", count, users, part)
		}
	}
}

// What was replaced works for the overlap, also where that is nearly as long as the interval.
func TestNextRotationDoesNotCutTheOverlap(t *testing.T) {
	t.Parallel()
	for _, overlap := range []time.Duration{0, 50 * time.Hour, 95 * time.Hour, 99 * time.Hour} {
		for i := range 100 {
			user := &v1alpha1.RelayUser{ObjectMeta: metav1.ObjectMeta{UID: types.UID(fmt.Sprint(i))}}
			user.Spec.Rotation = &v1alpha1.Rotation{Interval: &metav1.Duration{Duration: 100 * time.Hour}, Overlap: &metav1.Duration{Duration: overlap}}
			if fresh := replacedBy(user, replacement{due: true}, noon); fresh.next(user).Before(fresh.previousUntil) {
				t.Fatalf("with an overlap of %s the next rotation is after %s", overlap, fresh.next(user).Sub(noon))
			}
		}
	}
}

func TestWhatSomebodyElseWroteInTheSecretCountsForNothing(t *testing.T) {
	t.Parallel()
	secret := secretNamed("shop", "app")
	secret.CreationTimestamp = metav1.NewTime(noon)
	secret.Data = map[string][]byte{"password": []byte("chosen by hand")}
	secret.Annotations = map[string]string{
		resources.IssuedAnnotation: "2020-01-01T00:00:00Z", v1alpha1.AnnotationLeaked: "1", v1alpha1.AnnotationRotate: "1",
	}
	if got := passwordIn(secret); len(got.password) > 0 || !got.issued.Equal(noon) || got.leaked+got.rotate != "" || !got.previousUntil.IsZero() {
		t.Errorf("it says %+v", got)
	}
}
