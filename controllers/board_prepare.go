package controllers

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// preparation is a password that relay pods learn of before apps can read it. It is kept
// nowhere else: when the operator restarts, another takes its place.
type preparation struct{ password string }

// prepare asks the relay's loop to make a user's next password known to the pods. It returns
// the same preparation until that loop has seen it in the Secret.
func (b *Board) prepare(ctx context.Context, relay, user types.NamespacedName) *preparation {
	b.mu.Lock()
	p, ok := b.preparing[user]
	if !ok {
		p = &preparation{password: string(newPassword())}
		b.preparing[user] = p
	}
	b.mu.Unlock()
	if !ok {
		b.wake(ctx, relay)
	}
	return p
}

// prepared reports whether all pods that are ready, or starting, know a user's next password, other than
// the present.
func (b *Board) prepared(relay, user types.NamespacedName, p *preparation, present []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.relays[relay].loaded[user].prepared == p && p.password != string(present)
}

// preparation is that of a user, nil when there is none.
func (b *Board) preparation(user types.NamespacedName) *preparation {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.preparing[user]
}

// cancel ends a preparation that is not wanted any more, unless the Secret holds it: that one
// ends when the relay's loop has seen it there.
func (b *Board) cancel(ctx context.Context, relay, user types.NamespacedName, present []byte) {
	b.mu.Lock()
	p, ok := b.preparing[user]
	ok = ok && p.password != string(present)
	if ok {
		delete(b.preparing, user)
	}
	b.mu.Unlock()
	if ok {
		b.wake(ctx, relay)
	}
}

// written ends a preparation whose password is in the Secret.
func (b *Board) written(user types.NamespacedName, password string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p, ok := b.preparing[user]; ok && p.password == password {
		delete(b.preparing, user)
	}
}

// forgetUser ends what is prepared for a user who is gone.
func (b *Board) forgetUser(user types.NamespacedName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.preparing, user)
}

func (b *Board) wake(ctx context.Context, relay types.NamespacedName) {
	object := &v1alpha1.MailRelay{ObjectMeta: metav1.ObjectMeta{Namespace: relay.Namespace, Name: relay.Name}}
	select {
	case b.Relays <- event.GenericEvent{Object: object}:
	case <-ctx.Done():
	}
}
