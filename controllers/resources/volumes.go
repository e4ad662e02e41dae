package resources

import (
	"fmt"

	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/mailrelay-dev/mailrelay-operator/api/v1alpha1"
)

// mountedSecret is one of the fixed set of Secrets that a relay pod mounts.
type mountedSecret struct {
	volume    string
	secret    string
	directory string
	optional  bool
}

// mountedSecrets is the whole set. It is the same for every relay, whatever it is configured
// to do, so that no change of configuration changes the pods.
func mountedSecrets(relay *v1alpha1.MailRelay) []mountedSecret {
	secrets := []mountedSecret{
		{volume: "config", secret: ConfigName(relay), directory: ConfigDir},
		{volume: "tls", secret: TLSName(relay), directory: TLSDir},
		{volume: "external-tls", secret: ExternalTLSName(relay), directory: ExternalDir, optional: true},
		{volume: "upstreams", secret: UpstreamsName(relay), directory: UpstreamsDir},
	}
	for shard := range UserShards {
		secrets = append(secrets, mountedSecret{
			volume:    fmt.Sprintf("users-%02d", shard),
			secret:    UsersName(relay, shard),
			directory: UsersDir(shard),
			optional:  true,
		})
	}
	return secrets
}

// MountedSecrets maps each Secret that relay pods mount to the directory it is mounted at.
func MountedSecrets(relay *v1alpha1.MailRelay) map[string]string {
	directories := map[string]string{}
	for _, s := range mountedSecrets(relay) {
		directories[s.secret] = s.directory
	}
	return directories
}

func volumes(relay *v1alpha1.MailRelay) []*corev1ac.VolumeApplyConfiguration {
	var out []*corev1ac.VolumeApplyConfiguration
	for _, s := range mountedSecrets(relay) {
		source := corev1ac.SecretVolumeSource().WithSecretName(s.secret).WithDefaultMode(0o440)
		if s.optional {
			source.WithOptional(true)
		}
		out = append(out, corev1ac.Volume().WithName(s.volume).WithSecret(source))
	}
	return out
}

func mounts() []*corev1ac.VolumeMountApplyConfiguration {
	out := []*corev1ac.VolumeMountApplyConfiguration{
		corev1ac.VolumeMount().WithName(SpoolVolume).WithMountPath(SpoolDir),
	}
	for _, s := range mountedSecrets(&v1alpha1.MailRelay{}) {
		out = append(out, corev1ac.VolumeMount().WithName(s.volume).WithMountPath(s.directory).WithReadOnly(true))
	}
	return out
}
