#!/bin/bash
# Runs a test under ThreadSanitizer: gives it the suppressions, and switches address randomisation off where the
# machine allows that, because g++ 12's runtime does not know the wider address ranges of newer kernels.
set -euo pipefail

suppressions="${TEST_SRCDIR:-.}/apium/tools/sanitizers/tsan.supp"
# A program that a test starts inherits the options, and may have changed its folder: the path must be absolute.
suppressions="$(readlink -f "${suppressions}")"
export TSAN_OPTIONS="suppressions=${suppressions}:halt_on_error=1:second_deadlock_stack=1:${TSAN_OPTIONS:-}"

if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)" -gt 28 ] && setarch -R true 2>/dev/null; then
  exec setarch -R "$@"
fi
exec "$@"
