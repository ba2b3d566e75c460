#!/usr/bin/env bash
# The file that tells CodePipeline's ECS deploy action which image a container gets.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/image-definitions.sh CONTAINER IMAGE

Prints image definitions with CONTAINER, a name in the task definitions, and IMAGE, as ci/publish-manifest.sh prints it: with
its digest, since a tag may be moved between two starts of a task. Needs jq.
TEXT
}

case ${1:-} in -h | --help) usage && exit ;; esac
[ $# -eq 2 ] || refuse "which container, and which image? See --help"
[[ $1 =~ ^[A-Za-z0-9_-]{1,255}$ ]] ||
  refuse "\`$1\` is no name of a container: 1 to 255 letters, digits, underscores and hyphens"
[[ $2 =~ ^[^@]+:[^@:/]+@sha256:[0-9a-f]{64}$ ]] || refuse "\`$2\` is no image with its digest: REPOSITORY:TAG@sha256:…"
require_repository "${2%:*@*}"
need_programs jq
jq --null-input --arg name "$1" --arg image "$2" '[{name: $name, imageUri: $image}]'
