#!/usr/bin/env bash
# Runs every fuzz target for a time, one after the other.
# usage: hack/fuzz.sh DURATION
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files '*_test.go' | xargs grep -lE '^func Fuzz' | while read -r file; do
  grep -oE '^func Fuzz\w+' "$file" | cut -d' ' -f2 | while read -r target; do
    go test "./$(dirname "$file")" -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 10x
  done
done
