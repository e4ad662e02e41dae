package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/controllers/users"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// roomOfShard is how much data a Secret can have.
const roomOfShard = 1 << 20

// applyShards writes the shards that have users, or had. A shard that was never needed is not
// there: pods mount it as optional.
func (r *MailRelayReconciler) applyShards(ctx context.Context, s *scope) error {
	all := make([]config.User, len(s.users))
	for i := range s.users {
		all[i] = s.users[i].user
	}
	var failures []error
	for number, members := range users.Split(all) {
		failures = append(failures, s.note(r.applyShard(ctx, s, number, members)))
	}
	return errors.Join(failures...)
}

// applyShard writes one shard. One that has the users it had, and that nobody has written to
// since, is not even put together.
func (r *MailRelayReconciler) applyShard(ctx context.Context, s *scope, number int, members []config.User) error {
	name := resources.UsersName(s.relay, number)
	metadata, err := secretMetadata(ctx, r.Client, s.relay.Namespace, name)
	if err != nil || metadata == nil && len(members) == 0 {
		return err
	}
	if s.isWritten(number, members, metadata) {
		s.hashes[resources.UsersDir(number)] = s.memory.secrets[name].hash
		return nil
	}
	known := s.memory.shards[number]
	known.written = false
	s.memory.shards[number] = known
	file, left, err := renderShard(s.users, members, roomOfShard)
	if err != nil {
		return fmt.Errorf("users of shard %d: %w", number, err)
	}
	if err := r.applyMounted(ctx, s, resources.UsersSecret(s.relay, number, file)); err != nil {
		return err
	}
	s.memory.shards[number] = knownShard{written: true, users: members, leftOut: left}
	return nil
}

func (s *scope) isWritten(number int, members []config.User, metadata *metav1.PartialObjectMetadata) bool {
	shard := s.memory.shards[number]
	return shard.written && metadata != nil && s.memory.secrets[metadata.Name].version == versionOf(metadata) &&
		reflect.DeepEqual(shard.users, members)
}

// renderShard writes the members of a shard that there is room for. Those who came first stay:
// a user that is added must not cost another one its login.
func renderShard(all []relayUser, members []config.User, room int) (file []byte, left []string, err error) {
	file, err = marshalUsers(members)
	if err != nil || len(file) <= room {
		return file, nil, err
	}
	head, err := marshalUsers(nil)
	if err != nil {
		return nil, nil, err
	}
	used := len(head)
	stay := map[string]bool{}
	for _, user := range oldestFirst(all, members) {
		alone, err := marshalUsers([]config.User{user})
		if err != nil {
			return nil, nil, err
		}
		// What is written for no users differs by its " []" from the head of a list.
		if size := len(alone) - len(head) + len(" []"); used+size <= room {
			used += size
			stay[user.Name] = true
		} else {
			left = append(left, user.Name)
		}
	}
	file, err = marshalUsers(slices.DeleteFunc(slices.Clone(members), func(u config.User) bool { return !stay[u.Name] }))
	return file, left, err
}

func oldestFirst(all []relayUser, members []config.User) []config.User {
	come := make(map[string]metav1.Time, len(all))
	for i := range all {
		come[all[i].user.Name] = all[i].object.CreationTimestamp
	}
	return slices.SortedFunc(slices.Values(members), func(a, b config.User) int {
		first, second := come[a.Name], come[b.Name]
		return cmp.Or(first.Compare(second.Time), strings.Compare(a.Name, b.Name))
	})
}

func marshalUsers(members []config.User) ([]byte, error) {
	return config.MarshalUserFile(&config.UserFile{Version: config.Version, Users: members})
}
