package component

import (
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// Containerd runs containers. Its pods are connected by ptp interfaces, not by
// a bridge: so each packet between two pods is forwarded by the node, where a
// NetworkPolicy can stop it.
func Containerd(l layout.Layout) Component {
	config := l.Path("containerd", "config.toml")
	return Component{
		Spec: process.Spec{
			Name:    "containerd",
			Command: []string{l.Binary("containerd"), "--config=" + config, "--log-level=info"},
		},
		Files: map[string]string{
			config:                         "containerd.toml",
			l.Path("cni", "pods.conflist"): "cni.conflist",
		},
	}
}

// Kubelet runs the pods of the node.
func Kubelet(l layout.Layout) Component {
	config := l.Path("kubelet-config", "kubelet.yaml")
	return Component{
		Spec: process.Spec{Name: "kubelet", Command: []string{
			l.Binary("kubelet"),
			"--config=" + config,
			"--kubeconfig=" + l.ComponentKubeconfig("kubelet"),
			"--root-dir=" + l.Path("kubelet"),
			"--cert-dir=" + l.Path("kubelet-pki"),
			"--hostname-override=" + layout.NodeName,
			"--node-ip=" + layout.NodeIP,
		}},
		Files: map[string]string{
			config:                "kubelet.yaml",
			l.Path("resolv.conf"): "resolv.conf",
		},
		Health: "http://" + layout.NodeIP + ":10248/healthz",
	}
}

// Proxy translates the addresses of Services.
func Proxy(l layout.Layout) Component {
	const name = "kube-proxy"
	config := l.Path(name, "config.yaml")
	return Component{
		Spec:   process.Spec{Name: name, Command: []string{l.Binary(name), "--config=" + config}},
		Files:  map[string]string{config: "kube-proxy.yaml"},
		Health: "http://" + layout.NodeIP + ":10256/healthz",
	}
}
