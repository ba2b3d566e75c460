#!/usr/bin/env bash
# Pushes an image, once: a second run of the same commit finds it there where tags cannot be overwritten.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/push-image.sh IMAGE REPOSITORY TAG

Pushes IMAGE, of the engine's store, as REPOSITORY:TAG. Where that fails, as with an immutable tag that is there already, an image
there of the same commit and architecture will do.
Needs docker with buildx, logged in to the registry, and jq.
TEXT
}

case ${1:-} in -h | --help) usage && exit ;; esac
[ $# -eq 3 ] || refuse "which image, to which repository, under which tag? See --help"
image=$1 repository=$2 tag=$3
require_repository "$repository"
require_tag "$tag"
need_programs docker jq

identity='[.Architecture, .Config.Labels["org.opencontainers.image.revision"] // "unknown"] | join(" of commit ")'
own=$(docker image inspect --format '{{json .}}' "$image" | jq --raw-output "$identity") ||
  fail "there is no image $image: build it with ci/build-image.sh, or load it"

docker tag "$image" "$repository:$tag"
if docker push "$repository:$tag" >&2; then
  say "Pushed $repository:$tag: $own"
  exit
fi
# Not every engine passes on what the registry says, and so the reason is not asked for: what is there decides.
there=$(in_registry "$repository:$tag") || fail "$repository:$tag can neither be pushed nor read"
[ -n "$there" ] || fail "$repository:$tag could not be pushed"
identity='select(.manifest.manifests | not) | .image | [.architecture, .config.Labels["org.opencontainers.image.revision"] // "unknown"] | join(" of commit ")'
there=$(jq --raw-output "$identity" <<<"$there")
[ "$there" = "$own" ] || fail "$repository:$tag is there, for ${there:-several platforms}, and could not be overwritten by $image, for $own"
say "$repository:$tag could not be pushed, is there already, for $there, and is used"
