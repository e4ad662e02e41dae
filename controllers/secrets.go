package controllers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mailrelay-dev/mailrelay-operator/controllers/resources"
	"github.com/mailrelay-dev/mailrelay-operator/relay/config"
)

// secretMetadata reads what the cache keeps of a Secret; nil when there is none.
func secretMetadata(ctx context.Context, reader client.Reader, namespace, name string) (*metav1.PartialObjectMetadata, error) {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for Secret %s/%s: %w", namespace, name, err)
	}
	return secret, nil
}

// liveSecret reads a Secret from the API server; nil when there is none.
func liveSecret(ctx context.Context, reader client.Reader, namespace, name string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	err := reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	return secret, nil
}

func versionOf(object client.Object) version {
	return version{uid: object.GetUID(), resourceVersion: object.GetResourceVersion()}
}

// applyMounted applies a Secret that relay pods mount and notes the hash of what they will
// see. A Secret that is known to agree, and has not changed since, is not even read.
func (r *MailRelayReconciler) applyMounted(ctx context.Context, s *scope, desired *corev1ac.SecretApplyConfiguration) error {
	name := *desired.Name
	wanted, err := hashOf(desired)
	if err != nil {
		return err
	}
	metadata, err := secretMetadata(ctx, r.Client, s.relay.Namespace, name)
	if err != nil {
		return err
	}
	known := s.memory.secrets[name]
	if metadata == nil || known.version != versionOf(metadata) || known.desired != wanted {
		object, err := r.applier().Apply(ctx, s.relay, desired)
		if err != nil {
			return err
		}
		known = know(object.(*corev1.Secret))
		known.desired = wanted
		s.memory.secrets[name] = known
	}
	s.hashes[resources.MountedSecrets(s.relay)[name]] = known.hash
	return nil
}

// readMounted notes the hash of a mounted Secret that someone else writes. It returns the
// zero knownSecret when there is none.
func (r *MailRelayReconciler) readMounted(ctx context.Context, s *scope, name string) (knownSecret, error) {
	known, err := r.readSecret(ctx, s, name)
	if known.hash != "" {
		s.hashes[resources.MountedSecrets(s.relay)[name]] = known.hash
	}
	return known, err
}

// readSecret reads a Secret that someone else writes, if it has changed since it was last read.
// It returns the zero knownSecret when there is none.
func (r *MailRelayReconciler) readSecret(ctx context.Context, s *scope, name string) (knownSecret, error) {
	metadata, err := secretMetadata(ctx, r.Client, s.relay.Namespace, name)
	if err != nil || metadata == nil {
		return knownSecret{}, err
	}
	known := s.memory.secrets[name]
	if known.version != versionOf(metadata) {
		secret, err := liveSecret(ctx, r.Live, s.relay.Namespace, name)
		if err != nil || secret == nil {
			return knownSecret{}, err
		}
		known = know(secret)
		s.memory.secrets[name] = known
	}
	return known, nil
}

func know(secret *corev1.Secret) knownSecret {
	known := knownSecret{
		version: versionOf(secret),
		hash:    config.DirHash(secret.Data),
		keys:    map[string]bool{},

		certificate: secret.Data[corev1.TLSCertKey],
		ca:          secret.Data[resources.CAKey],
	}
	for key, value := range secret.Data {
		known.keys[key] = len(value) > 0
	}
	return known
}

func hashOf(desired any) (string, error) {
	content, err := json.Marshal(desired)
	if err != nil {
		return "", fmt.Errorf("hash an apply configuration: %w", err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:]), nil
}
