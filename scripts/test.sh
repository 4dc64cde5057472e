#!/usr/bin/env bash
# Runs the tests in the quickstart's environment, which gets the test packages first (once).
#
#   bash scripts/test.sh                          the whole suite, on several processes where there are cores
#   bash scripts/test.sh tests/datamodules -x     anything that pytest takes, as it is
#
# PYTHON=... chooses the interpreter, LIGHTNING_GAN_VENV=... the place of the environment.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment test
cd "$root"
if [ $# -eq 0 ]; then
  workers="$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)"
  if [ "$workers" -gt 4 ]; then workers=4; fi # each holds its own PyTorch in memory
  if [ "$workers" -gt 1 ]; then
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # the processes share the cores
    set -- -n "$workers" --dist worksteal
  fi
fi
exec "$venv/bin/python" -m pytest "$@"
