#!/usr/bin/env bash
# The gate: proves that what answers is what was built, with the program and the lock of the release itself.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/verify.sh URL RELEASE REPORT

RELEASE is a folder with the program of this machine's architecture (bifora) and the lock of the release (bifora-lock.json).
What is proven of URL and what is not goes to REPORT, as JUnit, and is said here.
Exit codes are those of `bifora verify`: 0 proven, 1 disproven, 2 wrong usage, 3 not decided in time.
TEXT
}

case ${1:-} in -h | --help) usage && exit ;; esac
[ $# -eq 3 ] || refuse "which address, which release, and where does the report go? See --help"
url=$1 release=$2 report=$3
for file in bifora bifora-lock.json; do
  [ -f "$release/$file" ] || refuse "$release has no $file: what publishes the image puts it there"
done
# Artefacts need not keep which files are programs.
chmod +x "$release/bifora"
mkdir -p "$(dirname "$report")"
exec "$release/bifora" verify "$url" --lock "$release/bifora-lock.json" --format junit --output "$report"
