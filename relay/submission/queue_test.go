package submission

import "testing"

func TestPlacesAreOfOneUserUntilGivenBack(t *testing.T) {
	t.Parallel()
	var p places
	belowTwo := func(onTheWay int) bool { return onTheWay < 2 }
	for _, step := range []struct {
		user string
		want bool
	}{{"a", true}, {"a", true}, {"a", false}, {"b", true}} {
		if got := p.take(step.user, belowTwo); got != step.want {
			t.Errorf("%s gets a place: %v, want %v", step.user, got, step.want)
		}
	}
	p.giveBack("a")
	if !p.take("a", belowTwo) || p.take("a", belowTwo) {
		t.Error("what was given back is one place")
	}
	for _, user := range []string{"a", "a", "b"} {
		p.giveBack(user)
	}
	if len(p.byUser) != 0 {
		t.Errorf("%v is remembered of users without a place", p.byUser)
	}
}
