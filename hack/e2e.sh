#!/usr/bin/env bash
# Runs the end-to-end suite: brings the cluster up with the operator of this tree, and lets
# real clients send through relays on it. Arguments go to "go test", such as -run NAME.
# What went on in the namespaces of failed tests is in dist/e2e.
set -euo pipefail
cd "$(dirname "$0")/.."
export E2E_LOGS=$PWD/dist/e2e
rm -rf "$E2E_LOGS"
mkdir -p "$E2E_LOGS"

# A test sets the records that the operator asks this server for.
hack/install.sh --set dnsServer=e2e-dns.mailrelay-system.svc.cluster.local:53 | tee "$E2E_LOGS/install.log"
read -r -a flags < <(tail -n 1 "$E2E_LOGS/install.log")
case ${flags[0]} in
--kubeconfig) export E2E_KUBECONFIG=${flags[1]} ;;
--context) export E2E_CONTEXT=${flags[1]} ;;
esac
set -a
# shellcheck source=/dev/null
source dist/images.env
set +a

echo "logs: $E2E_LOGS"
# The tests mostly wait, so more of them run at once than there are processors.
go test -tags e2e -count 1 -parallel 6 -timeout 25m -v "$@" ./test/e2e 2>&1 | tee "$E2E_LOGS/test.log"
