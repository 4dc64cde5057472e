#!/usr/bin/env bash
# For a student: the minimax loss of the first GAN paper against the non-saturating one, on handwritten digits that
# come with the package. Shows D(x) and D(G(z)) against 1/2, digits that are lost by name, and the page of both runs.
# Takes one to two minutes on one thread of a CPU, and writes runs/ and minimax.html into the folder it is started in:
#
#   bash scripts/walks/student.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/walk.sh"

# Both losses are of the same game, and differ in what the generator is paid.
step 'lightning-gan fit --model.objective.help Minimax'

# A small network, a short training, and a thousand samples in each of its evaluations.
step 'SMALL="--data Digits --model.generator.width 16 --model.discriminator.width 16 --model.max_images 20000
  --model.validate_every 5000 --trainer.callbacks+=Evaluation --trainer.callbacks.num_samples 1000"'

step 'lightning-gan fit --config minimax_mnist $SMALL'
step 'lightning-gan fit --config minimax_mnist $SMALL --model.objective NonSaturating'

# Which is which, and what each has reached.
step 'lightning-gan runs'
step 'lightning-gan compare runs/minimax_mnist/version_0 runs/minimax_mnist/version_1'

# D(x) and D(G(z)), the means of the discriminator over held-out reals and fakes: 1/2 where it cannot tell them apart.
step 'python -c "
import csv
for run in 0, 1:
    for row in csv.DictReader(open(f\"runs/minimax_mnist/version_{run}/metrics.csv\")):
        if row[\"val/d_real\"]:
            real, fake = float(row[\"val/d_real\"]), float(row[\"val/d_fake\"])
            print(run, row[\"progress/images\"], f\"D(x) = {real:.2f}, D(G(z)) = {fake:.2f}\")
"'

# Look: a page with the curves and samples of both, and pictures of the better one.
step 'lightning-gan report runs/minimax_mnist/version_0 runs/minimax_mnist/version_1 --output minimax.html'
step 'lightning-gan predict --ckpt_path runs/minimax_mnist/version_1 --n 100 --seed 1'
