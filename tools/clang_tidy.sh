#!/bin/bash
# Runs clang-tidy, with the checks of .clang-tidy, over our C++.
#
# Usage: tools/clang_tidy.sh [FILE.cc...]     default: every .cc file of the project
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/environment.sh

files=("$@")
if [ "${#files[@]}" -eq 0 ]; then
  mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.cc' | grep -v '^tools/sanitizers/')
fi

run_bazel build //protos/... </dev/null 2>/dev/null
bin="$(run_bazel info bazel-bin 2>/dev/null </dev/null)"

printf '%s\0' "${files[@]}" | xargs -0 -n 4 -P "$(nproc)" clang-tidy --quiet "--header-filter=^$PWD/(broker|cli|client|common|results|scheduler|storage|worker)/" -- \
  -std=c++20 -w -I. -isystem "${bin}/protos" \
  -DSPDLOG_COMPILED_LIB -DSPDLOG_SHARED_LIB -DSPDLOG_FMT_EXTERNAL \
  -DCPPHTTPLIB_BROTLI_SUPPORT -DCPPHTTPLIB_OPENSSL_SUPPORT -DCPPHTTPLIB_ZLIB_SUPPORT
echo "clang-tidy: ${#files[@]} files checked."
