#!/usr/bin/env bash
# Makes the images of operator and relay as archives in dist/, tagged by the content of
# their binary: an image, and so the pods that run it, changes only when its binary does.
# Writes dist/images.env with MANAGER_IMAGE and RELAY_IMAGE. With IMAGE_REPO set it pushes.
set -euo pipefail
cd "$(dirname "$0")/.."
repo=${IMAGE_REPO:-mailrelay.dev}
mkdir -p dist
: >dist/images.env

for name in manager relay; do
  tag=$(sha256sum "bin/$name" | cut -c1-12)
  image=$repo/$name:$tag
  go -C hack/image run . --root "$PWD" --binary "bin/$name" --entrypoint "/$name" \
    --tag "$image" --out "dist/$name.tar" ${IMAGE_REPO:+--push "$IMAGE_REPO"}
  echo "${name^^}_IMAGE=$image" >>dist/images.env
done
