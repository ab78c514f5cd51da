# Sourced by the scripts in this repository, from its root. Makes them independent of who calls them.

# Debian's programs first: another python3 or bazel of the same name does not have Debian's libraries.
export PATH="/usr/bin:/bin:/usr/sbin:/sbin:${PATH:-}"
export LC_ALL=C.UTF-8

# Bazel keeps its state below HOME; a continuous-integration machine may not set it.
if [ -z "${HOME:-}" ]; then
  HOME="$(getent passwd "$(id -u)" | cut -d: -f6)"
  export HOME="${HOME:-/tmp}"
fi

# say WORDS: tells the reader what comes next.
say() {
  printf '\n== %s\n' "$*"
}

# run_bazel COMMAND [argument...]: Bazel as this project uses it. CI=true: plain lines instead of a moving display.
run_bazel() {
  local command="$1"
  shift
  local flags=()
  if [ "${CI:-}" = "true" ] || [ ! -t 2 ]; then
    flags+=(--config=plain)
  fi
  /usr/bin/bazel "${command}" "${flags[@]}" "$@"
}
