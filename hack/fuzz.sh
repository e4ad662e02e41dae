#!/usr/bin/env bash
# Runs the fuzz targets one after the other: all of them, or those below some directories.
# usage: hack/fuzz.sh DURATION|COUNTx [DIR...]
set -euo pipefail
cd "$(dirname "$0")/.."
length=$1
shift
git ls-files "${@:-.}" | grep '_test\.go$' | xargs grep -lE '^func Fuzz' | while read -r file; do
  grep -oE '^func Fuzz\w+' "$file" | cut -d' ' -f2 | while read -r target; do
    # In the file's own module.
    go -C "$(dirname "$file")" test . -run '^$' -fuzz "^$target\$" -fuzztime "$length" -fuzzminimizetime 10x
  done
done
