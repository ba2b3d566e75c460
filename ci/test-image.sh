#!/usr/bin/env bash
# Runs the image of one architecture as the service will, and checks that it is what it says.
set -euo pipefail
# shellcheck source=ci/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'TEXT'
usage: ci/test-image.sh IMAGE ARCH [--commit COMMIT] [--port PORT] [--allow-emulation]

Checks that IMAGE, in the engine's store, is for ARCH (amd64 or arm64) by its configuration and by its program; that it runs
read-only, without capabilities, not as root; that it answers, as that machine and not emulated; that it drains on SIGTERM.
Needs docker on this machine, curl and jq.

--commit COMMIT     it has to tell this commit
--port PORT         what it is told to listen on, in the container; 8080 without this
--allow-emulation   an emulated machine will do, for a try on another one
BIFORA_ALLOW_EMULATION=true   the same, for a whole rehearsal
TEXT
}

image='' arch='' machine='' commit='' port=8080 allow_emulation=${BIFORA_ALLOW_EMULATION:-false}
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit ;;
    --commit) commit=${2:-} && require_commit "$commit" && shift ;;
    --port) port=${2:-} && shift ;;
    --allow-emulation) allow_emulation=true ;;
    -*) refuse "\`$1\` is no option; see --help" ;;
    *)
      if [ -z "$image" ]; then
        image=$1
      elif [ -z "$arch" ]; then
        read_arch "$1"
      else
        refuse "\`$1\` is one argument too many; see --help"
      fi
      ;;
  esac
  [ $# -eq 0 ] || shift
done
[ -n "$arch" ] || refuse "which image, and for which architecture? See --help"
[[ $port =~ ^[0-9]{1,5}$ && $port -ge 1024 && $port -le 65535 ]] ||
  refuse "\`$port\` is no port that the image may listen on: 1024 to 65535, since it does not run as root"
[[ $allow_emulation =~ ^(true|false)$ ]] || refuse "BIFORA_ALLOW_EMULATION is \`$allow_emulation\`, and has to be true or false"
need_programs docker curl jq

container='' folder=$(mktemp -d)
clean_up() {
  local result=$?
  if [ -n "$container" ]; then
    # What it logged tells why.
    [ $result -eq 0 ] || docker logs "$container" >&2 || true
    docker rm --force --volumes "$container" >/dev/null || true
  fi
  rm -rf "$folder"
}
trap clean_up EXIT
# Or the shell would end without the above.
trap 'exit 130' INT
trap 'exit 143' TERM

# What it is, by its configuration.
declared=$(docker image inspect --format '{{.Os}}/{{.Architecture}}' "$image") ||
  fail "there is no image $image: build it with ci/build-image.sh, or load it"
[ "$declared" = "linux/$arch" ] || fail "$image says that it is for $declared, and has to be for linux/$arch"
user=$(docker image inspect --format '{{.Config.User}}' "$image")
[[ $user =~ ^[1-9][0-9]*(:[0-9]+)?$ ]] ||
  fail "the user of $image is \`$user\`, and has to be a number above 0: ECS tells by nothing else that it is not root"

# The service's settings; a shorter delay, which is longer than what is asked meanwhile.
container=$(docker create --platform "linux/$arch" --read-only --cap-drop ALL --security-opt no-new-privileges \
  --env "PORT=$port" --env BIFORA_SHUTDOWN_DELAY=5s --publish "127.0.0.1::$port" "$image")

# What it is, by its program: an image that says one architecture and holds the other is a known accident.
docker cp --quiet "$container:/bifora" "$folder/bifora" || fail "$image has no program /bifora"
program=$(machine_of "$folder/bifora")
[ "$program" = "$machine" ] || fail "/bifora in $image is for $program, and has to be for $machine"

docker start "$container" >/dev/null || fail "$image cannot be started: $declared on $(uname -m)"
# By its published port; by its own address where the engine does not publish.
addresses=(
  "$(docker port "$container" "$port/tcp" 2>/dev/null | head -n 1 || true)"
  "$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$container"):$port"
)
address=''
ask() {
  curl --silent --show-error --noproxy '*' --max-time 5 "$@" 2>&1
}
find_address() {
  local candidate
  for candidate in "${addresses[@]}"; do
    if [ "$(curl --silent --noproxy '*' --max-time 2 --output /dev/null --write-out '%{http_code}' \
      "http://$candidate/healthz")" = 200 ]; then
      address=$candidate
      return
    fi
  done
  return 1
}
running() {
  [ "$(docker inspect --format '{{.State.Running}}' "$container")" = true ]
}

deadline=$((SECONDS + 30))
until find_address; do
  running || fail "$image ended with $(docker inspect --format '{{.State.ExitCode}}' "$container") instead of serving"
  [ $SECONDS -lt $deadline ] || fail "/healthz of $image did not answer with 200 within 30 seconds, at ${addresses[*]}"
  sleep 0.2
done
docker exec "$container" /bifora healthcheck || fail "\`bifora healthcheck\` fails in a container of $image"
uids=$(docker top "$container" -eo pid,uid | awk 'NR > 1 { print $2 }' | sort -u)
[ "$uids" = "${user%%:*}" ] || fail "$image runs as user $uids, and its configuration says $user"

answer=$(ask "http://$address/api/whoami") || fail "/api/whoami of $image: $answer"
said() {
  jq --raw-output ".$1 // empty" <<<"$answer" || fail "/api/whoami of $image is not JSON: $answer"
}
[ "$(said arch)" = "$machine" ] || fail "$image says that it runs on \`$(said arch)\`, and has to run on $machine: $answer"
if [ -n "$(said emulator)" ]; then
  $allow_emulation || fail "$image runs in an emulator ($(said emulator)), and has to run on a machine that is $machine"
  say "$image runs in an emulator ($(said emulator)), which --allow-emulation allows"
fi
[ "${commit:-$(said commit)}" = "$(said commit)" ] || fail "$image tells commit \`$(said commit)\`, and has to tell $commit"

# Draining: no longer ready, still serving, then the end, in order.
start=$SECONDS
docker kill --signal TERM "$container" >/dev/null
status=''
for _ in $(seq 20); do
  status=$(ask --output /dev/null --write-out '%{http_code}' "http://$address/readyz") || true
  [ "$status" != 503 ] || break
  sleep 0.1
done
[ "$status" = 503 ] || fail "/readyz of $image answers $status after SIGTERM, and has to answer 503"
# Into a variable: grep would leave before curl has written everything.
headers=$(ask --fail --dump-header - --output /dev/null "http://$address/api/whoami") ||
  fail "$image does not answer any more after SIGTERM, before load balancers know: $headers"
grep --quiet --ignore-case '^connection: close' <<<"$headers" ||
  fail "$image keeps connections open after SIGTERM; its answer has no \`Connection: close\`"
code=$(timeout 30 docker wait "$container") || fail "$image still runs 30 seconds after SIGTERM"
[ "$code" = 0 ] || fail "$image ends with exit code $code after SIGTERM, and has to end with 0"
say "$image is good: a program for $machine, which runs read-only as user $user, answers, and ended $((SECONDS - start)) s after SIGTERM"
