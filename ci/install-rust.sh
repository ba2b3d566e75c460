#!/usr/bin/env bash
# Brings the Rust that the image is compiled with, with clippy and rustfmt; does nothing where that is there.
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
cd "$(dirname "${BASH_SOURCE[0]}")/.."
release=$(sed -n 's/^ARG RUST_IMAGE=.*rust:\([0-9.]*[0-9]\).*/\1/p' Dockerfile)
[ -n "$release" ] || fail "the Dockerfile has no line \`ARG RUST_IMAGE=…rust:RELEASE…\`"
if version=$(rustc --version 2>/dev/null && cargo clippy --version && cargo fmt --version) && [[ $version == "rustc $release "* ]]; then
  say "There is ${version%%$'\n'*}"
  exit
fi
need_programs curl
curl --proto '=https' --tlsv1.2 --silent --show-error --fail --retry 3 https://sh.rustup.rs |
  sh -s -- -y --profile minimal --component clippy,rustfmt --default-toolchain "$release"
if [ -n "${BASH_ENV:-}" ]; then
  echo ". '${CARGO_HOME:-$HOME/.cargo}/env'" >>"$BASH_ENV"
fi
