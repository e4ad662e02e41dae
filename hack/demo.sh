#!/usr/bin/env bash
# The main job in one run: a cluster, the operator, a relay, an app that submits one message
# over 465 and one over 587, and both messages read back from the provider.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n==> %s\n' "$*"; }

say 'Bringing up a cluster with the operator'
mkdir -p dist
hack/install.sh | tee dist/install.log
read -r -a flags < <(tail -n 1 dist/install.log)
rm -f dist/install.log
kubectl=kubectl
[ -n "${CONTEXT:-}" ] || kubectl=$(go -C hack/cluster run . kubectl-path)
k() { "$kubectl" "${flags[@]}" "$@"; }
# shellcheck source=/dev/null
source dist/images.env

namespace() {
  k create namespace "$1" --dry-run=client -o yaml | k apply -f - >/dev/null
  k label --overwrite namespace "$1" pod-security.kubernetes.io/enforce=restricted >/dev/null
}
secret() { k -n "$1" create secret generic "${@:2}" --dry-run=client -o yaml | k apply -f - >/dev/null; }

say 'Starting Mailpit, which stands in for your mail provider (namespace mail-provider)'
password=$(head -c 24 /dev/urandom | base64 | tr -d '/+')
namespace mail-provider
secret mail-provider mailpit-users --from-literal=users="relay:$password"
sed "s|MAILPIT_IMAGE|$MAILPIT_IMAGE|" test/manifests/mailpit.yaml | k -n mail-provider apply -f - >/dev/null
# The password is new in each run and Mailpit reads it at its start.
k -n mail-provider rollout restart deployment/mailpit >/dev/null
k -n mail-provider wait --for=condition=Ready certificate/mailpit --timeout=2m >/dev/null
k -n mail-provider rollout status deployment/mailpit --timeout=3m

say 'Applying config/samples/quickstart.yaml in namespace demo'
namespace demo
secret demo provider --from-literal=username=relay --from-literal=password="$password"
ca=$(k -n mail-provider get secret provider-ca -o jsonpath='{.data.tls\.crt}' | base64 -d)
secret demo provider-ca --from-literal=ca.crt="$ca"
k -n demo apply -f config/samples/quickstart.yaml
k -n demo wait --for=condition=Ready mailrelay/mail --timeout=4m
k -n demo wait --for=condition=Ready relayuser/mail-default --timeout=1m
k -n demo get mailrelay,relayuser

say 'Submitting from an app pod, with nothing but the Secret mail-default'
run=$(date +%s)
k -n demo delete pod app --ignore-not-found >/dev/null
sed -e "s|CLIENTS_IMAGE|$CLIENTS_IMAGE|" -e "s|RUN_ID|$run|" test/manifests/app.yaml | k -n demo apply -f - >/dev/null
if ! k -n demo wait --for=jsonpath='{.status.phase}'=Succeeded pod/app --timeout=2m; then
  k -n demo logs pod/app
  exit 1
fi
k -n demo logs pod/app

say 'Reading both messages back from Mailpit'
inbox() {
  k get --raw '/api/v1/namespaces/mail-provider/services/mailpit:8025/proxy/api/v1/messages?limit=100'
}
for port in 465 587; do
  subject="demo $run over $port"
  for _ in $(seq 60); do
    inbox | grep -qF "$subject" && break
    sleep 1
  done
  inbox | grep -qF "$subject" || { echo "the message '$subject' did not arrive"; exit 1; }
  echo "arrived: $subject"
done

say 'Done. Where to look next'
cat <<TXT
  the relay and its story  $kubectl ${flags[*]} -n demo describe mailrelay mail
  one line for each mail   $kubectl ${flags[*]} -n demo logs -l mailrelay.dev/relay=mail
  an app's credentials     $kubectl ${flags[*]} -n demo get secret mail-default -o yaml
  clean up                 make demo-down
TXT
