#!/usr/bin/env bash
# Brings what an image with Rust lacks to compile for ARCH: the standard library of the target and a linker.
# For the Dockerfile, as root; does nothing where both are there.
set -euo pipefail

usage="usage: ci/toolchain.sh ARCH   (amd64 or arm64)"
case ${1:?$usage} in
  amd64) arch=x86_64 linker=(gcc-x86-64-linux-gnu libc6-dev-amd64-cross) ;;
  arm64) arch=aarch64 linker=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross) ;;
  *)
    echo "ci/toolchain.sh: \`$1\` is not an architecture that Bifora is built for; these are amd64 and arm64" >&2
    exit 2
    ;;
esac
target=$arch-unknown-linux-gnu

if ! compgen -G "$(rustc --print target-libdir --target "$target")/libstd-*.rlib" >/dev/null; then
  rustup target add "$target"
fi
if [ "$(uname -m)" != "$arch" ] && ! command -v "$arch-linux-gnu-gcc" >/dev/null; then
  apt-get update
  apt-get install --yes --no-install-recommends "${linker[@]}"
  rm -rf /var/lib/apt/lists/*
fi
