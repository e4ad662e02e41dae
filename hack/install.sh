#!/usr/bin/env bash
# Brings the cluster up, with the operator of this tree in it. On another cluster:
#   CONTEXT=NAME IMAGE_REPO=REGISTRY/FOLDER hack/install.sh
# Arguments go to "helm upgrade", such as --set NAME=VALUE.
# An exported KUBECONFIG alone is ignored, so that nobody installs into the wrong place.
# Prints, as its last line, the flags that kubectl needs to reach the cluster.
set -euo pipefail
cd "$(dirname "$0")/.."
cluster() { go -C hack/cluster run . "$@"; }

make --no-print-directory build bin/helm bin/mailpit
hack/images.sh
if [ -n "${CONTEXT:-}" ]; then
  : "${IMAGE_REPO:?set IMAGE_REPO to a registry that the cluster can pull from}"
  flags=(--context "$CONTEXT")
  helm=(bin/helm --kube-context "$CONTEXT")
else
  cluster up
  cluster load "$PWD"/dist/*.tar
  flags=(--kubeconfig "$(cluster kubeconfig-path)")
  helm=(bin/helm --kubeconfig "$(cluster kubeconfig-path)")
fi
# shellcheck source=/dev/null
source dist/images.env
"${helm[@]}" upgrade --install mailrelay charts/mailrelay-operator \
  --namespace mailrelay-system --create-namespace --wait --timeout 3m \
  --set image.operator="$MANAGER_IMAGE" --set image.relay="$RELAY_IMAGE" "$@"
echo "${flags[@]}"
