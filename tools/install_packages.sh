#!/bin/bash
# Installs the Debian packages listed in tools/debian_packages.txt that are not there yet. Quick when all are.
#
# Usage: tools/install_packages.sh
# Needs root (or sudo) only when something is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mapfile -t wanted < <(grep -vE '^[[:space:]]*(#|$)' tools/debian_packages.txt)

if ! command -v dpkg-query >/dev/null; then
  echo "install_packages: this is not a Debian system (no dpkg-query). Debian 12 is supported; elsewhere install the" \
    "equivalents of tools/debian_packages.txt and call bazel directly." >&2
  exit 1
fi

# dpkg-query fails when it does not know a package, which is one of the answers.
mapfile -t installed < <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
  awk '$1 == "installed" { print $2 }' | sort -u || true)
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(printf '%s\n' "${installed[@]}"))

if [ "${#missing[@]}" -eq 0 ]; then
  echo "Debian packages: all ${#wanted[@]} are installed."
  exit 0
fi

echo "Debian packages: installing ${#missing[@]} of ${#wanted[@]}: ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "install_packages: run as root, or install: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi

apt() {
  # Waits for another apt to finish instead of failing, and tries again when a mirror hiccups.
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
    -o Dpkg::Use-Pty=0 "$@"
}

log="$(mktemp)"
trap 'rm -f "${log}"' EXIT
if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; } >"${log}" 2>&1 </dev/null; then
  tail -n 40 "${log}" >&2
  echo "install_packages: apt-get failed; its last words are above." >&2
  exit 1
fi
echo "Debian packages: done."
