// Package v1alpha1 holds the MailRelay and RelayUser types of the API group
// mailrelay.dev: their fields, defaults and CEL rules, and no behaviour.
//
// +kubebuilder:object:generate=true
// +groupName=mailrelay.dev
package v1alpha1
