#!/usr/bin/env bash
# Brings the Rust that the image is compiled with, for machines that have none; does nothing where there is cargo.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/install-rust.sh

Installs the release that the Dockerfile names, with rustup, for this user. Needs curl.

BASH_ENV   a file that later steps of a pipeline read first; gets the new PATH
TEXT
}

case ${1:-} in
  -h | --help) usage && exit ;;
  '') ;;
  *) refuse "\`$1\` is one argument too many; see --help" ;;
esac
if version=$(cargo --version 2>/dev/null); then
  say "There is $version"
  exit
fi
need_programs curl
cd "$(dirname "${BASH_SOURCE[0]}")/.."
release=$(sed -n 's/^ARG RUST_IMAGE=.*rust:\([0-9.]*[0-9]\).*/\1/p' Dockerfile)
[ -n "$release" ] || fail "the Dockerfile has no line \`ARG RUST_IMAGE=…rust:RELEASE…\`"
curl --proto '=https' --tlsv1.2 --silent --show-error --fail --retry 3 https://sh.rustup.rs |
  sh -s -- -y --profile minimal --component clippy,rustfmt --default-toolchain "$release"
if [ -n "${BASH_ENV:-}" ]; then
  echo ". '${CARGO_HOME:-$HOME/.cargo}/env'" >>"$BASH_ENV"
fi
