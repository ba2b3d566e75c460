#!/usr/bin/env bash
# Joins the pushed images of both architectures under one tag.
#
# With `docker buildx imagetools`, which makes the index and pushes it in one go: `docker manifest` keeps a list on the
# machine, and would publish what an earlier, refused attempt has left in it.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/publish-manifest.sh REPOSITORY TAG SUFFIX SUFFIX [--also TAG]…

Makes REPOSITORY:TAG of REPOSITORY:TAG-SUFFIX for each SUFFIX (amd64, and arm64 or arm64v8), reads back that it has exactly
linux/amd64 and linux/arm64, and prints it with its digest: REPOSITORY:TAG@sha256:…
Needs docker with buildx, logged in to the registry, and jq.

--also TAG   then moves TAG-SUFFIX and TAG, which may exist, to the same images: for `latest`
TEXT
}

words=() also=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit ;;
    --also) also+=("${2:-}") && require_tag "${2:-}" && shift ;;
    -*) refuse "\`$1\` is no option; see --help" ;;
    *) words+=("$1") ;;
  esac
  [ $# -eq 0 ] || shift
done
[ ${#words[@]} -eq 4 ] || refuse "which repository, which tag, and which two suffixes? See --help"
repository=${words[0]} tag=${words[1]} suffixes=("${words[@]:2}")
require_repository "$repository"
require_tag "$tag"
read_arch "${suffixes[0]}" && first=$arch
read_arch "${suffixes[1]}"
[ "$arch" != "$first" ] || refuse "both suffixes are for $arch, and there has to be one for each architecture"
need_programs docker jq

# Gives REPOSITORY:$1 to what has the digest $2, as it is: without the option, an index of one image would be made.
move() {
  docker buildx imagetools create --progress plain --prefer-index=false --tag "$repository:$1" "$repository@$2" >&2
}

digests=()
for suffix in "${suffixes[@]}"; do
  read_arch "$suffix"
  one=$repository:$tag-$suffix
  found=$(in_registry "$one") || fail "$one cannot be read"
  [ -n "$found" ] || fail "there is no $one: ci/push-image.sh has to come first, for each architecture"
  jq --exit-status '.manifest.manifests | not' <<<"$found" >/dev/null ||
    fail "$one is an index, and has to be the image of one platform: build it with ci/build-image.sh"
  platform=$(jq --raw-output '"\(.image.os)/\(.image.architecture)"' <<<"$found")
  [ "$platform" = "linux/$arch" ] || fail "$one is for $platform, and has to be for linux/$arch"
  digests+=("$(jq --raw-output .manifest.digest <<<"$found")")
done

# The platforms and digests of an index, a line for each; "null" for what is none.
contents='.manifest.manifests | if . then map("\(.platform.os)/\(.platform.architecture) \(.digest)") | sort[] else . end'
wanted=$(for i in 0 1; do read_arch "${suffixes[i]}" && echo "linux/$arch ${digests[i]}"; done | sort)

found=$(in_registry "$repository:$tag") || fail "$repository:$tag cannot be read"
if [ "$(jq --raw-output "$contents" <<<"$found")" = "$wanted" ]; then
  say "$repository:$tag is there already, of the same images, and is used"
else
  docker buildx imagetools create --progress plain --tag "$repository:$tag" "${digests[@]/#/$repository@}" >&2
  found=$(in_registry "$repository:$tag") || fail "$repository:$tag cannot be read back"
  contents=$(jq --raw-output "$contents" <<<"$found")
  [ "$contents" = "$wanted" ] ||
    fail "$repository:$tag was pushed, and has not exactly the two images:"$'\n'"$contents"$'\n'"instead of"$'\n'"$wanted"
fi
digest=$(jq --raw-output .manifest.digest <<<"$found")
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || fail "$repository:$tag has no digest: $digest"

# Last, and the tag that people pull at the very end: until here nobody has noticed anything.
for name in "${also[@]}"; do
  for i in 0 1; do
    move "$name-${suffixes[i]}" "${digests[i]}"
  done
  move "$name" "$digest"
done

say "Published $repository:$tag${also[*]:+ and ${also[*]}}:"$'\n'"$wanted"
echo "$repository:$tag@$digest"
