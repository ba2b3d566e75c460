# shellcheck shell=bash
# What the scripts of both pipelines share; they source it. Standard output is for results, everything else is said on
# standard error.

# Wrong usage, exit code 2: nothing was done yet.
refuse() {
  echo "ci/${0##*/}: $*" >&2
  exit 2
}

fail() {
  echo "ci/${0##*/}: $*" >&2
  exit 1
}

say() {
  echo "$*" >&2
}

need_programs() {
  local program
  for program; do
    command -v "$program" >/dev/null || fail "\`$program\` is needed, and there is none on the PATH"
  done
}

# Sets `arch` (Docker's name of it) and `machine` (the kernel's). Tags on private ECR say arm64v8 where Docker says arm64.
# shellcheck disable=SC2034
read_arch() {
  case $1 in
    amd64 | x86_64) arch=amd64 machine=x86_64 ;;
    arm64 | arm64v8 | aarch64) arch=arm64 machine=aarch64 ;;
    *) refuse "\`$1\` is not an architecture that Bifora is built for; these are amd64 and arm64 (or arm64v8)" ;;
  esac
}

require_commit() {
  [[ $1 =~ ^[0-9a-f]{40}$ ]] || refuse "\`$1\` is no commit: 40 hexadecimal digits, such as \`git rev-parse HEAD\` prints"
}

require_tag() {
  [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] ||
    refuse "\`$1\` is no tag: 1 to 128 of A-Z a-z 0-9 . _ - that begin with a letter, a digit or _"
}

require_repository() {
  [[ $1 =~ ^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$ ]] ||
    refuse "\`$1\` is no repository: a registry and a name without a tag, such as public.ecr.aws/ALIAS/bifora"
}

# What a registry has under a name, as JSON; nothing if it has nothing there. Fails if it cannot be asked.
in_registry() {
  local errors result=0
  errors=$(mktemp)
  docker buildx imagetools inspect "$1" --format '{{json .}}' 2>"$errors" || result=$?
  if [ $result -ne 0 ] && ! grep --quiet ': not found$' "$errors"; then
    say "$(<"$errors")"
  else
    result=0
  fi
  rm -f "$errors"
  return $result
}

# The machine that a program is for, as the kernel names it; what is none of ours by its number.
machine_of() {
  local head
  # The class, the order of bytes, and the machine, a 16-bit number at byte 18: 62 or 183.
  head=$(od --address-radix=n --format=x1 --read-bytes=20 "$1" | tr -d ' \n')
  case $head in
    7f454c460201*3e00) echo x86_64 ;;
    7f454c460201*b700) echo aarch64 ;;
    7f454c46*) echo "another machine (ELF header $head)" ;;
    *) echo 'no machine: it is no ELF program' ;;
  esac
}
