package cluster

import (
	"fmt"
	"time"

	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/component"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/layout"
	"github.com/mailrelay-dev/mailrelay-operator/hack/cluster/pki"
)

// administrators may do everything. What is not a part of Kubernetes itself
// belongs to them: the rights of those programs are not what this cluster tests.
const administrators = "system:masters"

// certificates are those that are named on command lines.
var certificates = map[string]pki.Subject{
	"apiserver": {
		User: "kube-apiserver",
		Names: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + layout.ClusterDomain, "localhost",
		},
		IPs: []string{layout.NodeIP, layout.APIService, "127.0.0.1"},
	},
	"apiserver-kubelet": {User: "kube-apiserver-kubelet", Groups: []string{administrators}},
	"kubelet-server": {
		User:  "system:node:" + layout.NodeName,
		Names: []string{layout.NodeName},
		IPs:   []string{layout.NodeIP},
	},
}

// users are those that have a kubeconfig.
var users = map[string]pki.Subject{
	"kube-controller-manager": {User: "system:kube-controller-manager"},
	"kube-scheduler":          {User: "system:kube-scheduler"},
	"kube-proxy":              {User: "system:kube-proxy"},
	"kubelet":                 {User: "system:node:" + layout.NodeName, Groups: []string{"system:nodes"}},
	"netpol":                  {User: "netpol", Groups: []string{administrators}},
	"provisioner":             {User: "provisioner", Groups: []string{administrators}},
	component.CertManagerName: {User: "cert-manager", Groups: []string{administrators}},
}

// writeIdentities makes the authority, all certificates and all kubeconfigs.
func (c *Cluster) writeIdentities() error {
	now := time.Now()
	authority, err := pki.NewAuthority(c.Path("pki"), now)
	if err != nil {
		return err
	}
	if _, err := pki.WriteKey(c.PKI("service-account.key")); err != nil {
		return err
	}
	for name, subject := range certificates {
		if err := authority.Issue(name, subject, now); err != nil {
			return err
		}
	}
	for name, subject := range users {
		if err := c.writeUser(authority, name, c.ComponentKubeconfig(name), subject, now); err != nil {
			return err
		}
	}
	admin := pki.Subject{User: "admin", Groups: []string{administrators}}
	return c.writeUser(authority, "admin", c.Kubeconfig(), admin, now)
}

func (c *Cluster) writeUser(authority *pki.Authority, name, path string, subject pki.Subject, now time.Time) error {
	if err := authority.Issue(name, subject, now); err != nil {
		return fmt.Errorf("give %s an identity: %w", name, err)
	}
	return authority.WriteKubeconfig(path, name, layout.APIEndpoint)
}
