#!/usr/bin/env bash
# Writes everything that is generated: deep copies, CRDs, RBAC, what the chart carries of
# them, and the API reference. `make verify` runs it and fails on a difference.
set -euo pipefail
cd "$(dirname "$0")/.."
chart=charts/mailrelay-operator

bin/controller-gen object paths=./api/...
bin/controller-gen crd paths=./api/... output:crd:dir=config/crd
bin/controller-gen rbac:roleName=mailrelay-operator paths=./controllers/... output:rbac:dir=config/rbac

# CRDs go into the chart as templates, so that an upgrade brings the new ones, and are kept
# when the chart goes, so that uninstalling the operator takes no relay with it.
mkdir -p $chart/templates/crds $chart/files
for crd in config/crd/*.yaml; do
  {
    echo '{{- if .Values.crds.install }}'
    awk '{ print } /^  annotations:$/ && !done { print "    helm.sh/resource-policy: keep"; done = 1 }' "$crd"
    echo '{{- end }}'
  } >"$chart/templates/crds/$(basename "$crd")"
done
cp config/rbac/role.yaml $chart/files/role.yaml

bin/crd-ref-docs --source-path=api/v1alpha1 --config=hack/crd-ref-docs.yaml \
  --renderer=markdown --output-path=docs/reference/api.md --log-level=ERROR
