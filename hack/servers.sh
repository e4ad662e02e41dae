#!/usr/bin/env bash
# Unpacks mail servers, each with all that it needs, into a directory of its own.
# usage: hack/servers.sh DIR < test/interop/servers.txt
set -euo pipefail
dir=$(realpath -m "$1")
cd "$(dirname "$0")/.."
mkdir -p "$dir"
updated=
sed 's/#.*//; /^ *$/d' | while read -r server needs; do
  [ ! -d "$dir/$server" ] || continue
  [ -n "$updated" ] || apt-get -qq update
  updated=yes
  rm -rf "$dir/.unpacking"
  # shellcheck disable=SC2086 # a list of packages
  go -C hack/image run ./debtree --out "$dir/.unpacking" "$server" $needs busybox-static </dev/null
  mv "$dir/.unpacking" "$dir/$server"
done
