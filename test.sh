#!/bin/bash
# Installs what is needed, builds everything and runs every test. Downloads nothing but Debian packages.
#
# Usage: ./test.sh [bazel flag...] [target...]
#   ./test.sh                          every test
#   ./test.sh --config=asan            every test under the address and undefined-behaviour sanitizers
#   ./test.sh //tests/broker/...       some tests
# Ends with the line "N passed, N failed"; exits non-zero if a test failed, did not build, or none ran.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source tools/environment.sh

flags=()
targets=()
for argument in "$@"; do
  case "${argument}" in
    -h | --help)
      sed -n '2,8s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    --*) flags+=("${argument}") ;;
    *) targets+=("${argument}") ;;
  esac
done
if [ "${#targets[@]}" -eq 0 ]; then
  targets=(//...)
fi

say "Debian packages"
tools/install_packages.sh

say "Building and testing ${targets[*]} ${flags[*]} (the first time compiles everything: some minutes)"
events="$(mktemp)"
trap 'rm -f "${events}"' EXIT
status=0
run_bazel test --keep_going --build_event_json_file="${events}" "${flags[@]}" -- "${targets[@]}" </dev/null || status=$?

say "Result"
/usr/bin/python3 tools/count_tests.py "${events}" "${status}"
