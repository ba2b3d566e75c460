#!/usr/bin/env bash
# Fails, naming them, when variables that a pipeline counts on are not set: before anything is done, and in one go.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/require.sh NAME…

NAME… are the names of environment variables, each of which must be set and not empty.
TEXT
}

case ${1:-} in
  -h | --help) usage && exit ;;
  '') refuse "which variables? See --help" ;;
esac
missing=()
for name; do
  [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || refuse "\`$name\` is no name of a variable"
  [ -n "${!name:-}" ] || missing+=("$name")
done
[ ${#missing[@]} -eq 0 ] || fail "not set, and needed: ${missing[*]}"
