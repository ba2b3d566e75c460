#!/usr/bin/env bash
# Runs a command as root, with this user's programs, home and variables, and gives what it has made here to the user.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/as-root.sh COMMAND…

Needs sudo without a password, unless this is root already. The exit code is that of COMMAND.
TEXT
}

case ${1:-} in
  -h | --help) usage && exit ;;
  '') refuse "which command? See --help" ;;
esac
[ "$EUID" -ne 0 ] || exec "$@"
need_programs sudo
result=0
sudo --non-interactive --preserve-env env "PATH=$PATH" "HOME=$HOME" "$@" || result=$?
sudo --non-interactive chown --recursive --from=root "$(id --user):$(id --group)" . ||
  say "what it has made here still belongs to root"
exit $result
