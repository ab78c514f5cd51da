#!/bin/bash
# Measures Apium on this machine: builds, starts the real binaries with fresh data, loads them, prints a table, and writes
# benchmark_results.json. Every submit is answered after an fsync, every end-to-end task is durable at the result service.
#
# Usage: ./bench.sh [flag of platform_benchmark...]
#   ./bench.sh                      everything: some minutes
#   ./bench.sh --only=loads         without the backlog of millions
#   ./bench.sh --only=delayed       tasks that wait for their time, and cancels of running ones
#   ./bench.sh --seconds=10         longer loads
#   ./bench.sh --help
#
# With APIUM_CEILING=FILE, an executable that prints "e2e <label> task/s=... p50us=... p99us=..." lines for the loads bulk,
# stream, unary and sequential (what the machine's gRPC and RocksDB can do with nothing in between), it is run in the same
# run and the ratios are printed. Default: ../shared/bench/ceiling/ceiling.sh where that exists.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source tools/environment.sh

case "${1:-}" in
  -h | --help)
    sed -n '2,14s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
data="$(realpath -m "${APIUM_BENCHMARK_DATA:-data/benchmark}")"
results="${PWD}/benchmark_results.json"
ceiling="${APIUM_CEILING:-../shared/bench/ceiling/ceiling.sh}"

say "Debian packages"
tools/install_packages.sh

say "Building"
targets=(//:apium-broker //:apium-results //:apium-worker //benchmarks/platform:platform_benchmark)
run_bazel build "${targets[@]}" </dev/null
bin="$(run_bazel info bazel-bin 2>/dev/null </dev/null)"

ceiling_lines="$(mktemp)"
trap 'rm -f "${ceiling_lines}"' EXIT
if [ -f "${ceiling}" ]; then
  say "Ceiling"
  bash "${ceiling}" | tee "${ceiling_lines}"
fi

say "Apium on $(nproc) cores, $(uname -sr), $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs)"
"${bin}/benchmarks/platform/platform_benchmark" --broker="${bin}/broker/apium-broker" \
  --results="${bin}/results/apium-results" --worker="${bin}/worker/apium-worker" --data="${data}" \
  --json="${results}" "$@"
rm -rf "${data}"

/usr/bin/python3 benchmarks/platform/compare.py "${results}" "${ceiling_lines}"
