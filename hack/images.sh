#!/usr/bin/env bash
# Makes the images of operator and relay, and those of demo and tests (Mailpit, mail clients, a
# sample app), as archives in dist/. Each is tagged by its content: an image, and so the pods
# that run it, changes only when its binary does. Writes dist/images.env with their names. With
# IMAGE_REPO set it pushes them there.
set -euo pipefail
cd "$(dirname "$0")/.."
repo=${IMAGE_REPO:-mailrelay.dev}
mkdir -p dist
rm -f dist/images.env

# image NAME CONTENT_FILE FLAG...
image() {
  local name=$1 tag
  tag=$(sha256sum "$2" | cut -c1-12)
  shift 2
  if [ -n "${IMAGE_REPO:-}" ] || [ ! -e "dist/$name-$tag.tar" ]; then
    rm -f dist/"$name"-*.tar
    go -C hack/image run . --root "$PWD" --tag "$repo/$name:$tag" --out "dist/$name-$tag.tar" \
      ${IMAGE_REPO:+--push "$IMAGE_REPO"} "$@"
  fi
  echo "${name^^}_IMAGE=$repo/$name:$tag" >>dist/images.env
}

CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' -o bin/passwordless ./docs/samples/passwordless/go
for name in manager relay mailpit passwordless; do
  image "$name" "bin/$name" --binary "bin/$name" --entrypoint "/$name"
done

# The clients come from Debian; their list is what the image depends on.
packages=(swaks libnet-ssleay-perl msmtp curl python3-minimal libpython3-stdlib bash coreutils netcat-openbsd openssl)
printf '%s\n' "${packages[@]}" >dist/clients.list
# The tree has a list of its own, written last: it says of what the tree was really made.
if ! cmp -s dist/clients.list dist/clients.made; then
  rm -rf dist/clients dist/clients.made
  go -C hack/image run ./debtree --out "$PWD/dist/clients" "${packages[@]}"
  cp dist/clients.list dist/clients.made
fi
image clients dist/clients.list --tree dist/clients --env PATH=/usr/local/bin:/usr/bin:/bin --entrypoint /bin/bash
