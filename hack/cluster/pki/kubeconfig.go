package pki

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed kubeconfig.yaml
var kubeconfigText string

var kubeconfigTemplate = template.Must(template.New("kubeconfig").Parse(kubeconfigText))

// WriteKubeconfig writes a kubeconfig for the API server at endpoint to path,
// with the certificate that the authority issued as name. Keys are inside: the
// file can be handed to a program that sees no other.
func (a *Authority) WriteKubeconfig(path, name, endpoint string) error {
	values := map[string]string{"Endpoint": endpoint, "User": name}
	for key, file := range map[string]string{"CA": "ca.crt", "Certificate": name + ".crt", "Key": name + ".key"} {
		data, err := os.ReadFile(filepath.Join(a.dir, file))
		if err != nil {
			return fmt.Errorf("write a kubeconfig for %s: %w", name, err)
		}
		values[key] = base64.StdEncoding.EncodeToString(data)
	}
	var text bytes.Buffer
	if err := kubeconfigTemplate.Execute(&text, values); err != nil {
		return fmt.Errorf("write a kubeconfig for %s: %w", name, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write a kubeconfig for %s: %w", name, err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write a kubeconfig for %s: %w", name, err)
	}
	return nil
}
