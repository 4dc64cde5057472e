#!/usr/bin/env bash
# From nothing but Python to pictures: makes the environment (once), then trains a small GAN on handwritten
# digits, which needs no download, and says where the pictures, the metrics and the checkpoint are.
#
#   bash scripts/quickstart.sh [any further arguments of `lightning-gan fit`]
#
# PYTHON=... chooses the interpreter, LIGHTNING_GAN_VENV=... the place of the environment.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment base
exec "$venv/bin/lightning-gan" fit --config rpgan_digits "$@"
