#!/usr/bin/env bash
# Tells the address of the service.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/service-url.sh STACK

Prints what the stack of the service, STACK, has as its output Url: the address of the load balancer.
Needs the command line of AWS with credentials, unless there is:

SERVICE_URL   the address to print instead, where it is another one, such as with a certificate
TEXT
}

case ${1:-} in -h | --help) usage && exit ;; esac
[ $# -eq 1 ] || refuse "of which stack? See --help"
[[ $1 =~ ^[A-Za-z][A-Za-z0-9-]{0,127}$ ]] || refuse "\`$1\` is no name of a stack"

# CircleCI writes <nil> for an empty pipeline value.
case ${SERVICE_URL:-} in
  '' | '<nil>') ;;
  *) echo "$SERVICE_URL" && exit ;;
esac
need_programs aws
url=$(aws cloudformation describe-stacks --stack-name "$1" \
  --query "Stacks[0].Outputs[?OutputKey=='Url'].OutputValue" --output text) ||
  fail "the stack $1 does not tell where the service is"
case $url in '' | None) fail "the stack $1 has no output Url" ;; esac
echo "$url"
