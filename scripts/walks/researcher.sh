#!/usr/bin/env bash
# For a researcher: a loss, a network and a data set of one's own, against a baseline over three seeds, a sweep, a table
# for a paper, and samples in Python. Takes two minutes on one thread of a CPU, and writes runs/, ours.py and look.py
# into the folder it is started in:
#
#   bash scripts/walks/researcher.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/walk.sh"

# Three classes in one file; nothing is registered anywhere.
cp "$walks/ours.py" "$walks/look.py" .
step 'grep "^class" ours.py'
step 'lightning-gan fit --model.objective.help ours.Exponential'

# Baseline and own loss, each with three seeds, on own data with an own generator.
step 'MOONS="--config mlp_ring --data ours.Moons --model.generator ours.SineGenerator --model.generator.num_classes 2
  --model.discriminator.num_classes 2 --model.regularizers [] --model.max_images 20000
  --lr 1e-3 --trainer.default_root_dir runs/moons --trainer.enable_progress_bar false"'
step 'for objective in NonSaturating ours.Exponential; do
  for seed in 0 1 2; do
    lightning-gan fit $MOONS --model.objective $objective --seed_everything $seed | grep Frechet
  done
done'

# A sweep is a loop over an option.
step 'for rate in 1e-4 1e-3; do
  lightning-gan fit $MOONS --model.objective ours.Exponential --lr $rate --trainer.default_root_dir runs/sweep | grep Frechet
done'

# What there is, and what the paper gets.
step 'lightning-gan runs runs'
step 'lightning-gan table runs/sweep --by generator_optimizer.lr'
step 'lightning-gan table runs/moons --format latex | tee moons.tex'

step 'cat look.py'
step 'python look.py'
