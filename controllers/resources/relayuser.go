package resources

import (
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// RelayUserApply is the part of a RelayUser that the operator writes.
type RelayUserApply struct {
	metav1ac.TypeMetaApplyConfiguration    `json:",inline"`
	*metav1ac.ObjectMetaApplyConfiguration `json:"metadata,omitempty"`

	Spec *RelayUserSpecApply `json:"spec,omitempty"`
}

// RelayUserSpecApply is the part of a RelayUser's spec that the operator writes.
type RelayUserSpecApply struct {
	RelayRef v1alpha1.RelayReference `json:"relayRef"`
}

// IsApplyConfiguration marks the type for the client.
func (RelayUserApply) IsApplyConfiguration() {}

// DefaultUser is the RelayUser that comes with a relay. What it may do is what the relay's
// access rules grant; people may narrow it.
func DefaultUser(relay *v1alpha1.MailRelay) *RelayUserApply {
	return &RelayUserApply{
		TypeMetaApplyConfiguration: metav1ac.TypeMetaApplyConfiguration{
			APIVersion: ptr.To(v1alpha1.GroupVersion.String()),
			Kind:       ptr.To("RelayUser"),
		},
		ObjectMetaApplyConfiguration: &metav1ac.ObjectMetaApplyConfiguration{
			Name:      ptr.To(DefaultUserName(relay)),
			Namespace: ptr.To(relay.Namespace),
			Labels:    Labels(relay),
		},
		Spec: &RelayUserSpecApply{RelayRef: v1alpha1.RelayReference{Name: relay.Name}},
	}
}
