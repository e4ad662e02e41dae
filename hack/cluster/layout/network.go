package layout

// The node's addresses. All are of 198.18.0.0/15, which is reserved for
// benchmarks, so that they meet no network that the machine is part of.
const (
	HostIP      = "198.18.0.1"
	NodeIP      = "198.18.0.2"
	LinkPrefix  = "/30"
	PodRange    = "198.18.128.0/17"
	NodePods    = "198.18.128.0/24"
	ServiceIPs  = "198.19.0.0/16"
	APIService  = "198.19.0.1"
	DNSService  = "198.19.0.10"
	APIPort     = "6443"
	APIEndpoint = "https://" + NodeIP + ":" + APIPort
)

// Names that exist once on a machine. A second cluster finds them taken and
// says by whom.
const (
	// HostLink is the host's end of the veth pair; NodeLink the node's.
	HostLink = "mailrelay0"
	NodeLink = "eth0"
	// Cgroup is the control group above all processes and pods.
	Cgroup = "mailrelay-cluster"
)

// NodeName is the name of the one node.
const NodeName = "mailrelay-node"

// ClusterDomain is the suffix of the names of Services.
const ClusterDomain = "cluster.local"
