#!/bin/bash
# Runs a Python test with Debian's interpreter, which has Debian's python3-grpcio and python3-protobuf.
# Usage: python_test.sh MAIN.py [argument...], from the root of the runfiles.
set -euo pipefail
export PYTHONPATH="$PWD"
export PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 "$@"
