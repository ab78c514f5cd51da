#!/bin/bash
# Checks the lock annotations (ABSL_GUARDED_BY and the like) of our C++ with clang's -Wthread-safety; g++ ignores them.
#
# Usage: tools/thread_safety.sh [FILE.cc...]     default: every .cc file that has to do with a lock, its own or that of a
#                                                header that it includes
# Needs the generated protos: builds them first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/environment.sh

files=("$@")
if [ "${#files[@]}" -eq 0 ]; then
  annotated='absl::Mutex|ABSL_(GUARDED_BY|PT_GUARDED_BY|[A-Z_]*LOCKS?_(REQUIRED|EXCLUDED)|LOCKS_EXCLUDED)'
  # A line '#include "header"' for each header with annotations, as patterns for grep.
  includes="$(git grep --untracked -lE "${annotated}" -- '*.h' | sed 's/.*/#include "&"/')"
  mapfile -t files < <({
    git grep --untracked -lE "${annotated}" -- '*.cc'
    git grep --untracked -lF -e "${includes}" -- '*.cc'
  } | grep -v '^tools/sanitizers/' | sort -u)
fi

run_bazel build //protos/... </dev/null 2>/dev/null
bin="$(run_bazel info bazel-bin 2>/dev/null </dev/null)"

# -isystem: generated code is not ours to warn about. The macros are those of the libraries' own Debian builds.
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" clang++ -std=c++20 -fsyntax-only -w -Wthread-safety \
  -Wthread-safety-beta -Werror=thread-safety -Werror=thread-safety-beta -I. -isystem "${bin}/protos" \
  -DSPDLOG_COMPILED_LIB -DSPDLOG_SHARED_LIB -DSPDLOG_FMT_EXTERNAL \
  -DCPPHTTPLIB_BROTLI_SUPPORT -DCPPHTTPLIB_OPENSSL_SUPPORT -DCPPHTTPLIB_ZLIB_SUPPORT
echo "thread safety: ${#files[@]} files checked."
