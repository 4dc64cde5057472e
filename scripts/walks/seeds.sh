#!/usr/bin/env bash
# For whoever has many runs: two objectives with three seeds each, their list, their table, and two of them side by side,
# as docs/runs.md shows them. Takes two minutes on one thread of a CPU, and writes runs/ into the folder it is started in:
#
#   bash scripts/walks/seeds.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/walk.sh"

for seed in 0 1 2; do
  lightning-gan fit --config mlp_ring --model.max_images 20000 --seed_everything $seed
done
for seed in 0 1 2; do
  lightning-gan fit --config mlp_ring --model.max_images 20000 --seed_everything $seed --model.objective NonSaturating
done

step 'lightning-gan runs'
step 'lightning-gan table runs'
step 'lightning-gan table runs --by objective --metric recall --format latex'
step 'lightning-gan compare runs/mlp_ring/version_0 runs/mlp_ring/version_3'
