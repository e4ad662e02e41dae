package component

import (
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// StorageClass is the name of the default storage class, which the provisioner
// makes.
const StorageClass = "local"

// NetworkPolicy enforces NetworkPolicies in the node's network namespace.
func NetworkPolicy(l layout.Layout) Component {
	const name = "netpol"
	return Component{Spec: process.Spec{Name: name, Command: []string{
		l.Binary(name),
		"--kubeconfig=" + l.ComponentKubeconfig(name),
	}}}
}

// Provisioner makes a volume of kind "local" for each claim: unlike a hostPath,
// such a volume is given to the pod's group, so that a process that is not root
// can write to it.
func Provisioner(l layout.Layout) Component {
	const name = "provisioner"
	return Component{Spec: process.Spec{Name: name, Command: []string{
		l.Binary(name),
		"--kubeconfig=" + l.ComponentKubeconfig(name),
		"--dir=" + l.Path("volumes"),
		"--node-name=" + layout.NodeName,
		"--storage-class=" + StorageClass,
	}}}
}

// CertManager runs cert-manager's controllers. They use a definition as soon as
// they start, so its resources must be established before.
func CertManager(l layout.Layout) Component {
	return Component{Spec: process.Spec{Name: CertManagerName, Command: []string{
		l.Binary("certmanager"),
		"--kubeconfig=" + l.ComponentKubeconfig(CertManagerName),
	}}}
}
