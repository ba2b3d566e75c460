#!/usr/bin/env bash
# Builds the image of one architecture, and tells it what it is built from and by which run.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/build-image.sh ARCH IMAGE

Builds IMAGE (a name for it, such as bifora:amd64) for ARCH (amd64 or arm64) into the engine's store.
Needs docker with buildx; git where there is a .git.

The facts of the commit are those of git. Where there is no .git, as in a source artefact of CodePipeline:
  CIRCLE_SHA1, CODEPIPELINE_COMMIT_ID or CODEBUILD_RESOLVED_SOURCE_VERSION   the commit; needed
  VERGEN_GIT_COMMIT_TIMESTAMP   when it was made, such as 2026-01-31T12:00:00Z; unknown without it
Everywhere:
  CIRCLE_BRANCH or CODEPIPELINE_BRANCH_NAME   the branch; without them that of git
  SOURCE_URL   where the sources are read; without it CIRCLE_REPOSITORY_URL, CODEBUILD_SOURCE_REPO_URL, git's origin
  VERSION      what this build is called; without it the first seven digits of the commit
  RUST_IMAGE   another image to compile in than the Dockerfile's
Further facts of a run are passed on as they are: whatever the Dockerfile names that begins with CIRCLE_, CODEBUILD_ or
CODEPIPELINE_, and is set.
TEXT
}

case ${1:-} in -h | --help) usage && exit ;; esac
[ $# -eq 2 ] || refuse "which architecture, and what name for the image? See --help"
read_arch "$1"
image=$2
[[ $image =~ ^[a-z0-9][a-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]] ||
  refuse "\`$image\` is no name for an image with a tag, such as bifora:amd64"
need_programs docker
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The first of these variables that says something. CircleCI writes <nil> for an empty pipeline value.
first_of() {
  local name
  for name; do
    if [ -n "${!name:-}" ] && [ "${!name}" != '<nil>' ]; then
      printf '%s' "${!name}"
      return
    fi
  done
}

# A web address of an address that git fetches from; nothing for one with a user or a password in it.
web_address() {
  local url=${1%/}
  url=${url%.git}
  if [[ $url =~ ^git@([A-Za-z0-9.-]+):([A-Za-z0-9._/-]+)$ ]]; then
    url=https://${BASH_REMATCH[1]}/${BASH_REMATCH[2]}
  fi
  if [[ $url =~ ^https://[A-Za-z0-9.-]+/[A-Za-z0-9._/-]+$ ]]; then
    printf '%s' "$url"
  fi
}

commit=$(first_of CIRCLE_SHA1 CODEPIPELINE_COMMIT_ID CODEBUILD_RESOLVED_SOURCE_VERSION)
branch=$(first_of CIRCLE_BRANCH CODEPIPELINE_BRANCH_NAME)
source_url=$(web_address "$(first_of SOURCE_URL CIRCLE_REPOSITORY_URL CODEBUILD_SOURCE_REPO_URL)")
if [ -e .git ]; then
  need_programs git
  head=$(git rev-parse HEAD) || fail "there is a .git, and git cannot tell which commit this is"
  [ "${commit:-$head}" = "$head" ] || fail "the pipeline says that this is commit $commit, and git says $head"
  commit=$head
  time=$(git log -1 --format=%cI)
  dirty=false
  [ -z "$(git status --porcelain)" ] || dirty=true
  # Where a pipeline has checked out a commit there is no branch.
  [ -n "$branch" ] || branch=$(git symbolic-ref --quiet --short HEAD) || branch=
  [ -n "$source_url" ] || source_url=$(web_address "$(git remote get-url origin 2>/dev/null || true)")
else
  [ -n "$commit" ] ||
    refuse "there is no .git to ask for the commit: set CODEPIPELINE_COMMIT_ID or another variable that --help names"
  time=$(first_of VERGEN_GIT_COMMIT_TIMESTAMP)
  # A source artefact is made of the commit and nothing else.
  dirty=false
fi
require_commit "$commit"

arguments=(
  --build-arg "VERSION=$(first_of VERSION | grep . || printf '%.7s' "$commit")"
  --build-arg "VERGEN_GIT_SHA=$commit"
  --build-arg "VERGEN_GIT_DIRTY=$dirty"
)
[ -z "$branch" ] || arguments+=(--build-arg "VERGEN_GIT_BRANCH=$branch")
[ -z "$source_url" ] || arguments+=(--build-arg "SOURCE_URL=$source_url")
[ -z "${RUST_IMAGE:-}" ] || arguments+=(--build-arg RUST_IMAGE)
if [ -n "$time" ]; then
  # Of the environment, because BuildKit itself takes it from there, as the time of everything that it makes.
  SOURCE_DATE_EPOCH=$(date --date="$time" +%s) ||
    refuse "VERGEN_GIT_COMMIT_TIMESTAMP is \`$time\`, and has to be a time such as 2026-01-31T12:00:00Z"
  export SOURCE_DATE_EPOCH
  arguments+=(--build-arg "VERGEN_GIT_COMMIT_TIMESTAMP=$time")
else
  unset SOURCE_DATE_EPOCH
fi

# Facts of the run by name: Docker takes the values from the environment, whatever is in them.
while read -r name; do
  case $name in
    CIRCLE_* | CODEBUILD_* | CODEPIPELINE_*) [ -z "$(first_of "$name")" ] || arguments+=(--build-arg "$name") ;;
  esac
done < <(sed -n '/^ARG /,/[^\\]$/{s/^ARG //;s/\\$//;p}' Dockerfile | tr -s ' ' '\n')

say "Building $image for linux/$arch from commit $commit${time:+ of $time}"
# An attestation would be one more manifest, of no platform, and make an index of what has to be the image of one.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1
docker buildx build --load --platform "linux/$arch" --provenance=false --sbom=false --progress=plain \
  --tag "$image" "${arguments[@]}" .
