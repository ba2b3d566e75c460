#!/usr/bin/env bash
# The lock of a release: what a published image is made of, for whoever asks later whether that is what answers.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/release-lock.sh IMAGE COMMIT [--program FILE]

Prints the release lock of IMAGE, as ci/publish-manifest.sh prints it (REPOSITORY:TAG@sha256:…), which has to be built from
COMMIT: COMMIT itself, the digest of its Cargo.lock, and for each architecture those of the image and of the program in it.
Programs are taken out of the images and not started, so either machine will do.
Needs docker with buildx, logged in to the registry where it asks for that, and jq; git where there is a .git.

--program FILE   keeps the program of this machine's architecture: it is also the one that can prove the release
TEXT
}

words=() keep=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit ;;
    --program)
      keep=${2:-}
      [ -n "$keep" ] || refuse "--program: into which file?"
      shift
      ;;
    -*) refuse "\`$1\` is no option; see --help" ;;
    *) words+=("$1") ;;
  esac
  [ $# -eq 0 ] || shift
done
[ ${#words[@]} -eq 2 ] || refuse "which image, and of which commit? See --help"
image=${words[0]} commit=${words[1]}
case $keep in '' | /*) ;; *) keep=$PWD/$keep ;; esac
[[ $image =~ ^[^@]+:[^@:/]+@sha256:[0-9a-f]{64}$ ]] || refuse "\`$image\` is no image with its digest: REPOSITORY:TAG@sha256:…"
repository=${image%:*@*} index=${image##*@}
require_repository "$repository"
require_commit "$commit"
need_programs docker jq od sha256sum
cd "$(dirname "${BASH_SOURCE[0]}")/.."

container='' folder=$(mktemp -d)
clean_up() {
  [ -z "$container" ] || docker rm --force --volumes "$container" >/dev/null || true
  rm -rf "$folder"
}
trap clean_up EXIT
# Or the shell would end without the above.
trap 'exit 130' INT
trap 'exit 143' TERM

digest_of() {
  local sum
  sum=$(sha256sum <"$1")
  echo "sha256:${sum%% *}"
}

# As it was in the commit, whatever has become of the file since.
if [ -e .git ]; then
  need_programs git
  git show "$commit:Cargo.lock" >"$folder/Cargo.lock" || fail "git does not know the Cargo.lock of commit $commit"
else
  cp Cargo.lock "$folder/Cargo.lock"
fi

# As the registry has it, byte for byte: what it says the digest is need not be so.
docker buildx imagetools inspect --raw "$repository@$index" >"$folder/index" || fail "$repository@$index cannot be read"
found=$(digest_of "$folder/index")
[ "$found" = "$index" ] || fail "the registry has another index than $index: its digest is $found"
platforms='[.manifests // [] | .[] | "\(.platform.os)/\(.platform.architecture)"] | sort | join(" ")'
platforms=$(jq --raw-output "$platforms" "$folder/index")
[ "$platforms" = 'linux/amd64 linux/arm64' ] ||
  fail "$image is for \`$platforms\`, and has to be for exactly linux/amd64 and linux/arm64"

# Sets `digest` and `binary` to those of the architecture in `arch` and `machine`.
read_image() {
  local one said program
  digest=$(jq --raw-output --arg arch "$arch" '.manifests[] | select(.platform.architecture == $arch).digest' "$folder/index")
  # By the digest of its own: under that of the index, an engine may keep only one platform.
  one=$repository@$digest
  said=$(in_registry "$one") || fail "$one cannot be read"
  [ -n "$said" ] || fail "$image names $digest for linux/$arch, and the registry has no such image"
  said=$(jq --raw-output '.image | "linux/\(.architecture) of commit \(.config.Labels["org.opencontainers.image.revision"]? // "unknown")"' <<<"$said")
  [ "$said" = "linux/$arch of commit $commit" ] ||
    fail "$one is for $said by its configuration, and has to be for linux/$arch of commit $commit"
  docker pull --quiet --platform "linux/$arch" "$one" >&2 || fail "$one cannot be pulled"
  container=$(docker create --platform "linux/$arch" "$one") || fail "there can be no container of $one"
  docker cp --quiet "$container:/bifora" "$folder/$arch" >&2 || fail "$one has no program /bifora"
  docker rm --force --volumes "$container" >/dev/null
  container=''
  program=$(machine_of "$folder/$arch")
  [ "$program" = "$machine" ] || fail "/bifora in $one is for $program, and has to be for $machine"
  binary=$(digest_of "$folder/$arch")
}

images='{}'
own=$(uname -m)
for arch in amd64 arm64; do
  read_arch "$arch"
  read_image
  if [ -n "$keep" ] && [ "$machine" = "$own" ]; then
    cp "$folder/$arch" "$keep" || fail "the program of $own cannot be kept as $keep"
  fi
  images=$(jq --arg machine "$machine" --arg binary "$binary" --arg image "$digest" \
    '.[$machine] = {binary: $binary, image: $image}' <<<"$images")
done

cargo_lock=$(digest_of "$folder/Cargo.lock")
jq --null-input --arg commit "$commit" --arg cargo_lock "$cargo_lock" --arg index "$index" --argjson images "$images" \
  '{version: 1, commit: $commit, cargo_lock: $cargo_lock, index: $index, images: $images}'
