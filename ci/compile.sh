#!/usr/bin/env bash
# Compiles the static release binary, bit for bit the same wherever that is done: the one place with the compiler's
# flags, for the Dockerfile and for `cargo xtask build`.
set -euo pipefail

usage() {
  cat <<'TEXT'
usage: ci/compile.sh ARCH… [-- CARGO-ARGUMENT…]

ARCH is amd64 (x86_64) or arm64 (aarch64). CARGO-ARGUMENT… is `--package bifora --bin bifora` if none is given.
The binaries are put into CARGO_TARGET_DIR (target/dist/cargo), below the name of the target.

SOURCE_DATE_EPOCH   the time of the build that the binary tells; the time of the commit if it is not set
RUSTC               the compiler, as cargo reads it
TEXT
}

fail() {
  echo "ci/compile.sh: $*" >&2
  exit 2
}

archs=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit ;;
    --) shift && break ;;
    amd64 | x86_64) archs+=(x86_64) ;;
    arm64 | aarch64) archs+=(aarch64) ;;
    *) fail "\`$1\` is not an architecture that Bifora is built for; these are amd64 (x86_64) and arm64 (aarch64)" ;;
  esac
  shift
done
[ ${#archs[@]} -gt 0 ] || fail "for which architecture? amd64 (x86_64) or arm64 (aarch64)"
[ $# -gt 0 ] || set -- --package bifora --bin bifora

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/dist/cargo}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
host=$(uname -m)

if [ -z "${SOURCE_DATE_EPOCH:-}" ] && epoch=$(git log -1 --format=%ct 2>/dev/null); then
  export SOURCE_DATE_EPOCH=$epoch
fi

targets=()
for arch in "${archs[@]}"; do
  target=$arch-unknown-linux-gnu
  targets+=(--target "$target")
  if [ "$arch" != "$host" ]; then
    name=${target//-/_}
    export "CARGO_TARGET_${name^^}_LINKER=$arch-linux-gnu-gcc"
  fi
done

# Before the flags are made, so that the folder of the registry has its name.
cargo fetch --quiet --locked "${targets[@]}"

# Static, and names that are the same wherever it is built. Of several prefixes that fit the last wins.
flags=(-Ctarget-feature=+crt-static "--remap-path-prefix=$cargo_home=cargo")
for registry in "$cargo_home"/registry/src/*/; do
  flags+=("--remap-path-prefix=${registry%/}=crates")
done
flags+=("--remap-path-prefix=$root=." "--remap-path-prefix=$CARGO_TARGET_DIR=target")
# In this variable the flags hold for all targets, leave build scripts alone, may have spaces in them, and win over
# whatever else is set.
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
unset RUSTFLAGS

exec cargo build --release --locked "${targets[@]}" "$@"
