#!/usr/bin/env bash
# Proves a deployment from where visitors are: both architectures answer, each with this commit.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/prove.sh URL COMMIT [--answers NUMBER] [--timeout SECONDS] [--allow-emulation]

Asks URL/api/whoami, on a new connection each time, until NUMBER answers in a row are right: they tell COMMIT, and are not
emulated. Both architectures have to be among them; one that did not come up, such as because its weight is 0, is asked for by
the header x-bifora-arch. Fails after SECONDS, saying what it saw. Needs curl and jq.

--answers NUMBER    50 without this
--timeout SECONDS   300 without this
--allow-emulation   emulated machines will do, for a rehearsal
BIFORA_ALLOW_EMULATION=true   the same, for a whole rehearsal
TEXT
}

words=() answers=50 timeout=300 allow_emulation=${BIFORA_ALLOW_EMULATION:-false}
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit ;;
    --answers) answers=${2:-} && shift ;;
    --timeout) timeout=${2:-} && shift ;;
    --allow-emulation) allow_emulation=true ;;
    -*) refuse "\`$1\` is no option; see --help" ;;
    *) words+=("$1") ;;
  esac
  [ $# -eq 0 ] || shift
done
[ ${#words[@]} -eq 2 ] || refuse "which address, and which commit? See --help"
url=${words[0]%/} commit=${words[1]}
[[ $url =~ ^https?://[A-Za-z0-9.-]+(:[0-9]+)?$ ]] || refuse "\`$url\` is no address: http://HOST or https://HOST"
require_commit "$commit"
for number in "$answers" "$timeout"; do
  [[ $number =~ ^[1-9][0-9]{0,5}$ ]] || refuse "\`$number\` is no number from 1 to 999999"
done
[[ $allow_emulation =~ ^(true|false)$ ]] || refuse "BIFORA_ALLOW_EMULATION is \`$allow_emulation\`, and has to be true or false"
need_programs curl jq

# Asks once and says in one line what came: "right x86_64", or what is wrong with it.
ask() {
  local answer
  answer=$(curl --silent --show-error --fail --max-time 10 "$@" "$url/api/whoami" 2>&1) || {
    echo "no answer: $answer"
    return
  }
  jq --raw-output --arg commit "$commit" --argjson allowed "$allow_emulation" '
    if .arch != "x86_64" and .arch != "aarch64" then "architecture \(.arch)"
    elif .commit != $commit then "\(.arch) with commit \(.commit)"
    elif .emulator and ($allowed | not) then "\(.arch) in an emulator, \(.emulator)"
    else "right \(.arch)" end' <<<"$answer" 2>/dev/null || echo "not JSON: ${answer:0:80}"
}

# How often each line came, in all and since the last that was wrong.
declare -A all=() row=()
in_a_row=0
note() {
  all[$1]=$((${all[$1]:-0} + 1))
  case $1 in
    right\ *) row[$1]=$((${row[$1]:-0} + 1)) in_a_row=$((in_a_row + 1)) ;;
    *) row=() in_a_row=0 ;;
  esac
}
proven() {
  local arch
  [ $in_a_row -ge "$answers" ] || return
  for arch in x86_64 aarch64; do
    if [ -z "${row["right $arch"]:-}" ]; then
      note "$(ask --header "x-bifora-arch: $arch")"
      [ -n "${row["right $arch"]:-}" ] || return
    fi
  done
}

deadline=$((SECONDS + timeout))
until proven; do
  if [ $SECONDS -ge $deadline ]; then
    say "Seen at $url, of which the last $in_a_row in a row were right:"
    for line in "${!all[@]}"; do
      say "  ${all[$line]} × $line"
    done
    fail "within $timeout s there were no $answers right answers in a row from both architectures with commit $commit"
  fi
  line=$(ask)
  note "$line"
  # A deployment that is not there yet is not to be pestered.
  [[ $line == right\ * ]] || sleep 1
done
say "Proven: $in_a_row answers in a row with commit $commit, ${row['right x86_64']} from x86_64 and ${row['right aarch64']} from aarch64"
