#!/usr/bin/env bash
# Logs docker in to the registry of a repository on private ECR.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/ecr-login.sh REPOSITORY

REPOSITORY is such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/bifora. Needs docker and aws, with credentials.
TEXT
}

case ${1:-} in -h | --help) usage && exit ;; esac
[ $# -eq 1 ] || refuse "to the registry of which repository? See --help"
registry=${1%%/*}
[[ $registry =~ ^[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?$ ]] ||
  refuse "\`$1\` is not on private ECR, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com/bifora"
region=${BASH_REMATCH[1]}
need_programs aws docker
aws ecr get-login-password --region "$region" | docker login --username AWS --password-stdin "$registry" >&2
