package users

import (
	"cmp"
	"hash/fnv"
	"slices"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// Shard is the shard of a user. It depends on the name alone: a user never moves.
func Shard(username string) int {
	h := fnv.New32a()
	h.Write([]byte(username))
	return int(h.Sum32() % resources.UserShards)
}

// Split spreads users over the shards, each sorted by name.
func Split(all []config.User) [resources.UserShards][]config.User {
	var shards [resources.UserShards][]config.User
	for _, user := range all {
		n := Shard(user.Name)
		shards[n] = append(shards[n], user)
	}
	for _, shard := range shards {
		slices.SortFunc(shard, func(a, b config.User) int { return cmp.Compare(a.Name, b.Name) })
	}
	return shards
}
