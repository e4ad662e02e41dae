#!/usr/bin/env bash
# Checks that what is generated is current and that the code is in order.
# usage: hack/verify.sh MODULE_DIR...
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

step() { printf '== %s\n' "$1"; }
fail() { printf 'FAILED: %s\n' "$1" >&2; failed=1; }

# The tree with its untracked files as git would store it, so that the check works on a
# dirty tree too.
snapshot() {
  local index
  index=$(mktemp)
  cp "$(git rev-parse --git-path index)" "$index"
  GIT_INDEX_FILE=$index git add -A
  GIT_INDEX_FILE=$index git write-tree
  rm -f "$index"
}

step 'generated files are current'
before=$(snapshot)
hack/generate.sh
after=$(snapshot)
if [ "$before" != "$after" ]; then
  git --no-pager diff --stat "$before" "$after"
  fail "generated files were out of date: run 'make generate' and commit what changed"
fi

step 'gofmt'
unformatted=$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || fail "not formatted, run 'make fmt': $unformatted"

for module in "$@"; do
  step "go.mod of $module is tidy"
  go -C "$module" mod tidy -diff || fail "run 'go -C $module mod tidy'"
  [ "$module" = hack/tools ] && continue
  step "vet and lint $module"
  # The cluster's programs are built without C: what they share is compiled once.
  cgo=$(go env CGO_ENABLED)
  [ "$module" != hack/cluster ] || cgo=0
  CGO_ENABLED=$cgo go -C "$module" vet ./... || fail "go vet in $module"
  (cd "$module" && CGO_ENABLED=$cgo "$OLDPWD/bin/golangci-lint" run --config "$OLDPWD/.golangci.yml" ./...) || fail "golangci-lint in $module"
done

# The suites that take long, or need a cluster or mail clients, are behind tags, which the
# steps above do not see.
step 'vet and lint the suites behind tags'
go vet -tags attack,e2e,interop,load,soak ./test/... ./relay || fail 'go vet of test/ and relay/'
bin/golangci-lint run --build-tags attack,e2e,interop,load,soak ./test/... ./relay || fail 'golangci-lint of test/ and relay/'

step 'chart'
bin/helm lint --strict charts/mailrelay-operator || fail 'helm lint'
bin/helm template mailrelay charts/mailrelay-operator --namespace mailrelay-system >/dev/null || fail 'helm template'

[ "$failed" = 0 ] && echo 'verify: all in order'
exit "$failed"
