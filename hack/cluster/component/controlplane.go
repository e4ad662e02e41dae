package component

import (
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/process"
)

// Names of the components that others refer to.
const (
	EtcdName        = "etcd"
	APIServerName   = "kube-apiserver"
	CertManagerName = "cert-manager"
)

// The database listens on the namespace's own loopback, which no pod can reach,
// and so needs no certificates.
const etcdEndpoint = "http://127.0.0.1:2379"

// Etcd is the database. It does not wait for the disk: what a test cluster
// holds need not outlive the machine.
func Etcd(l layout.Layout) Component {
	return Component{
		Spec: process.Spec{Name: EtcdName, Command: []string{
			l.Binary("etcd"),
			"--name=" + layout.NodeName,
			"--data-dir=" + l.Path("etcd"),
			"--listen-client-urls=" + etcdEndpoint,
			"--advertise-client-urls=" + etcdEndpoint,
			"--listen-peer-urls=http://127.0.0.1:2380",
			"--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=" + layout.NodeName + "=http://127.0.0.1:2380",
			"--listen-metrics-urls=http://" + layout.NodeIP + ":2381",
			"--unsafe-no-fsync",
			"--log-level=warn",
		}},
		Health: "http://" + layout.NodeIP + ":2381/health",
	}
}

// APIServer is the API. Pods reach it by the "kubernetes" Service, which leads
// to the advertised address.
func APIServer(l layout.Layout) Component {
	return Component{
		Spec: process.Spec{Name: APIServerName, Command: []string{
			l.Binary("kube-apiserver"),
			"--etcd-servers=" + etcdEndpoint,
			"--advertise-address=" + layout.NodeIP,
			"--bind-address=" + layout.NodeIP,
			"--secure-port=" + layout.APIPort,
			"--endpoint-reconciler-type=lease",
			"--service-cluster-ip-range=" + layout.ServiceIPs,
			"--client-ca-file=" + l.PKI("ca.crt"),
			"--tls-cert-file=" + l.PKI("apiserver.crt"),
			"--tls-private-key-file=" + l.PKI("apiserver.key"),
			"--kubelet-certificate-authority=" + l.PKI("ca.crt"),
			"--kubelet-client-certificate=" + l.PKI("apiserver-kubelet.crt"),
			"--kubelet-client-key=" + l.PKI("apiserver-kubelet.key"),
			// The node's name is in no DNS.
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc." + layout.ClusterDomain,
			"--service-account-key-file=" + l.PKI("service-account.key"),
			"--service-account-signing-key-file=" + l.PKI("service-account.key"),
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--profiling=false",
			"--shutdown-delay-duration=0s",
		}},
		Health: layout.APIEndpoint + "/readyz",
	}
}

// ControllerManager runs the controllers, each with an account of its own.
func ControllerManager(l layout.Layout) Component {
	const name = "kube-controller-manager"
	return Component{
		Spec: process.Spec{Name: name, Command: []string{
			l.Binary(name),
			"--kubeconfig=" + l.ComponentKubeconfig(name),
			"--bind-address=" + layout.NodeIP,
			"--leader-elect=false",
			"--use-service-account-credentials",
			"--root-ca-file=" + l.PKI("ca.crt"),
			"--cluster-signing-cert-file=" + l.PKI("ca.crt"),
			"--cluster-signing-key-file=" + l.PKI("ca.key"),
			"--service-account-private-key-file=" + l.PKI("service-account.key"),
			"--service-cluster-ip-range=" + layout.ServiceIPs,
			"--cluster-cidr=" + layout.PodRange,
			"--profiling=false",
			"--flex-volume-plugin-dir=" + l.Path("flex-volumes"),
			// Nobody wants to wait the usual five minutes for one node.
			"--node-monitor-grace-period=20s",
		}},
		Health: "https://" + layout.NodeIP + ":10257/healthz",
	}
}

// Scheduler places pods.
func Scheduler(l layout.Layout) Component {
	const name = "kube-scheduler"
	return Component{
		Spec: process.Spec{Name: name, Command: []string{
			l.Binary(name),
			"--kubeconfig=" + l.ComponentKubeconfig(name),
			"--authentication-kubeconfig=" + l.ComponentKubeconfig(name),
			"--bind-address=" + layout.NodeIP,
			"--leader-elect=false",
			"--profiling=false",
		}},
		Health: "https://" + layout.NodeIP + ":10259/healthz",
	}
}
