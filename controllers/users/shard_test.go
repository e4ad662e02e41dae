package users

import (
	"fmt"
	"slices"
	"testing"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// A user who moved would be unknown while the pods load the two shards one after the other.
func TestShardNeverChanges(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"relay-default.mail": 15, "app.shop": 10, "": 5} {
		if got := Shard(name); got != want {
			t.Errorf("Shard(%q) = %d, want %d as it always was", name, got, want)
		}
	}
}

func TestSplitIsCompleteSortedAndEven(t *testing.T) {
	t.Parallel()
	const count = 1600
	var all []config.User
	for i := range count {
		all = append(all, config.User{Name: fmt.Sprintf("app-%d.team-%d", count-i, i%7)})
	}
	total := 0
	for shard, members := range Split(all) {
		total += len(members)
		if !slices.IsSortedFunc(members, func(a, b config.User) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) }) {
			t.Errorf("shard %d is not sorted", shard)
		}
		if fair := count / resources.UserShards; len(members) < fair/2 || len(members) > fair*2 {
			t.Errorf("shard %d has %d users, far from %d", shard, len(members), fair)
		}
	}
	if total != count {
		t.Errorf("%d users in all, want %d", total, count)
	}
}
