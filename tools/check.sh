#!/bin/bash
# Everything to run before a commit: format, build, tests, source rules, thread safety.
#
# Usage: tools/check.sh          format, tests (tests/tidy is one of them), thread-safety annotations
#        tools/check.sh --fix    the same, after formatting the C++ in place
#        tools/check.sh --full   also clang-tidy, and all tests under the sanitizers (long)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/environment.sh

fix=false
full=false
for argument in "$@"; do
  case "${argument}" in
    --fix) fix=true ;;
    --full) full=true ;;
    *)
      sed -n '2,6s/^# \{0,1\}//p' "$0"
      exit 2
      ;;
  esac
done

tools/install_packages.sh

# What git does not ignore, new files too.
mapfile -t cpp < <(git ls-files --cached --others --exclude-standard '*.cc' '*.h' | while read -r path; do
  if [ -e "${path}" ]; then echo "${path}"; fi
done)

say "Format"
if "${fix}"; then
  clang-format -i "${cpp[@]}"
fi
unformatted="$(clang-format --dry-run "${cpp[@]}" 2>&1 | grep -oE '^[^: ]+\.(cc|h):' | sort -u || true)"
if [ -n "${unformatted}" ]; then
  echo "${unformatted}" >&2
  echo "The files above are not formatted as .clang-format says: tools/check.sh --fix" >&2
  exit 1
fi
echo "${#cpp[@]} files are formatted."

say "Thread safety"
tools/thread_safety.sh

./test.sh

if "${full}"; then
  say "clang-tidy"
  tools/clang_tidy.sh
  ./test.sh --config=asan
  ./test.sh --config=tsan
fi

say "All checks passed."
