#!/usr/bin/env bash
# For a cluster engineer: eight tasks of one job, a signal in the midst of it, the way through the queue, W&B without a
# network, and the proof that the job ends in the bits of one that nobody disturbed. SLURM is a stand-in on this machine
# (slurm.py beside this file), and the tasks share its CPU; on a cluster the commands are the same, without those for
# CPUs. Takes about a minute on one thread, needs wandb, and writes into the folder it is started in:
#
#   bash scripts/walks/cluster.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/walk.sh"

mkdir -p bin
for name in sbatch squeue scancel scontrol srun; do
  printf '#!/bin/sh\nexec python "%s" %s "$@"\n' "$walks/slurm.py" "$name" >"bin/$name"
  chmod +x "bin/$name"
done
export PATH="$PWD/bin:$PATH" SLURM_CPUS_PER_TASK=1
mkdir -p scripts/slurm
cp "$walks/../slurm/train.sbatch" scripts/slurm/

# Eight tasks with 32 of the 256 samples of a batch each; on a cluster: --gpus-per-node=8, and neither of the last two.
step 'JOB="--config mlp_ring --global_batch_size 256 --model.max_images 25600 --wandb offline
  --trainer.log_every_n_steps 10 --trainer.limit_val_batches 0 --trainer.accelerator cpu"'
step 'sbatch --ntasks-per-node=8 scripts/slurm/train.sbatch $JOB'

# What SLURM sends shortly before the time limit (--signal=USR1@180 in the script), sent by hand.
step 'until [ -s runs/1001/version_0/metrics.csv ]; do sleep 0.1; done; scancel --signal=USR1 1001'
step 'while [ -n "$(squeue --noheader --job 1001)" ]; do sleep 0.2; done; cat gan-1001.out'
step 'lightning-gan runs'

# Both stretches of the run, as W&B will take them once there is a network: wandb sync runs/1001/version_0/wandb/*
step 'ls runs/1001/version_0/wandb | grep offline-run | cut -d- -f1,2,4-'

# The same job again, which nobody disturbs, ends with the same weights, averages and optimizers.
step 'sbatch --wait --ntasks-per-node=8 scripts/slurm/train.sbatch $JOB'
cp "$walks/digest.py" .
step 'python digest.py runs/1001/version_0/checkpoints/last.ckpt runs/1002/version_0/checkpoints/last.ckpt'
[ "$(python digest.py runs/*/version_0/checkpoints/last.ckpt | cut -d" " -f1 | uniq | wc -l)" = 1 ] || exit 1
