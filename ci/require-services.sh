#!/usr/bin/env bash
# Fails, naming them, when services that a pipeline is about to deploy to are not there: before any of them is touched.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/require-services.sh CLUSTER SERVICE…

CLUSTER has to have each SERVICE of ECS, active.
Needs the command line of AWS with credentials, and jq.
TEXT
}

case ${1:-} in -h | --help) usage && exit ;; esac
[ $# -ge 2 ] || refuse "which cluster, and which services? See --help"
cluster=$1 && shift
for name in "$cluster" "$@"; do
  [[ $name =~ ^[A-Za-z0-9_-]{1,255}$ ]] || refuse "\`$name\` is no name of a cluster or of a service"
done
need_programs aws jq

# ECS answers with a list of what it has not found, and no error. Without a right to one of them, it refuses to tell of any.
found=$(aws ecs describe-services --cluster "$cluster" --services "$@" --output json) ||
  fail "ECS does not tell of the services $* in the cluster $cluster; do the names and the role go together?"
missing=()
for name; do
  jq --exit-status --arg name "$name" '.services | any(.serviceName == $name and .status == "ACTIVE")' <<<"$found" >/dev/null ||
    missing+=("$name")
done
[ ${#missing[@]} -eq 0 ] || fail "the cluster $cluster has no service ${missing[*]}: nothing is deployed"
