"""Runs the same commands in two checkouts, and compares all that they write, number by number.

    python scripts/compare_checkouts.py BEFORE AFTER --work FOLDER --data FOLDER

For changes that must not change a number, such as moving files or renaming classes: every recipe,
every part and every command runs small, through the command line only, on one thread of the CPU.
What was renamed on purpose stands in RENAMED, what cannot be equal in NOT_COMPARED, and numbers
that were changed on purpose in CHANGED; everything else must be the same to the last bit. Results
of a checkout without local changes are kept in the work folder, by commit, and used again.

To be quick, one parent imports everything but the library once, and forks a process for each
command, which finds the library in the checkout alone. Genuine MNIST and CIFAR-10 lie in the data
folder, in torchvision's layout.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import hashlib
import importlib
import json
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import lightning
import numpy as np
import torch
import yaml
from PIL import Image
from torch import Tensor
from tqdm import tqdm

Where = Literal["argument", "file", "key", "text"]


class Renamed(NamedTuple):
    """A name that BEFORE has and AFTER has no longer.

    Args:
        where: In the words of a command ("argument"), in the path of a file that it writes
            ("file"), in the path of a value inside a file ("key"), or in a text ("text").
        before: Regular expression for what BEFORE has, searched for.
        after: What AFTER has in its place, with groups as in `re.sub`.
    """

    where: Where
    before: str
    after: str


class NotCompared(NamedTuple):
    """What cannot be equal.

    Args:
        value: Regular expression, searched for in `file:path/of/the/value`.
        reason: Why.
    """

    value: str
    reason: str


class Changed(NamedTuple):
    """Numbers that were changed on purpose.

    Args:
        case: Regular expression, searched for in the name of the case.
        value: Regular expression, searched for in `file:path/of/the/value`, in the names of AFTER.
        reason: What was changed, and why.
        tolerance: Largest difference, absolute or as a share of the value; None not to compare.
    """

    case: str
    value: str
    reason: str
    tolerance: float | None = None


ROOMS = r"objectives|regularizers|networks|augment|callbacks"
RENAMED: list[Renamed] = [
    # a checkpoint's parts are among the arguments of the model
    Renamed("key", r"lightning_gan/parts/", "hyper_parameters/"),
    # classes are named by their public paths
    Renamed("text", rf"^(lightning_gan\.(?:{ROOMS}))\.\w+\.(\w+)$", r"\1.\2"),
    Renamed(
        "text",
        r"^lightning_gan\.(?:alternation|curves|prior|optimizers)\.(\w+)$",
        r"lightning_gan.\1",
    ),
    Renamed("text", r"^lightning_gan\.gan\.GAN$", "lightning_gan.GAN"),
    Renamed("text", r"^datamodules\.(?:\w+\.)?(\w+)$", r"lightning_gan.datamodules.\1"),
]
"""Applied in this order, each to what the ones before it made."""

NOT_COMPARED = [
    NotCompared(r"eval/(seconds|share)$", "a duration"),
    NotCompared(r"progress/images_per_second$", "a speed"),
    NotCompared(r"\.jsonl?:(line \d+/)?run/date$", "a date"),
    NotCompared(
        r"(run/|run\.json:)id$|run\.json:(updated|segments/\d+/(started|ended))$",
        "the name that a run draws for itself, and its times",
    ),
    NotCompared(r"\.jsonl?:.*versions/lightning_gan$", "the version of the library"),
    NotCompared(r"^compare_\d+\.txt:[^/]+$", "titles, and what each is, with dates"),
    NotCompared(r"hparams\.yaml:", "the model's arguments, which BEFORE did not hand to loggers"),
    NotCompared(
        r"\.ckpt:(hparams_name|lightning_gan/format|hyper_parameters/(\w+_optimizer/|alternation"
        r"|regularizers$|accumulate|channels_last|ema_half_life|ema_rampup|\w+_clip"
        r"|max_images|seed|sync_batch_norm|warm_start))",
        "arguments as they were given: BEFORE wrote none, or the parts made where None was given",
    ),
    NotCompared(r"[:/]stamp/samples/(chunk|psi)", "out of the stamp, and new in it"),
    NotCompared(r"config\.yaml:.*/psi", "a new option"),
    NotCompared(
        r"/(lr_curve|beta2_curve|fresh_reals|color_share|spectral_head|plain)(/|$)"
        r"|regularizers/\d+/init_args/(share|spectral_norm)$",
        "new options of parts",
    ),
    NotCompared(
        r"\.ckpt:callbacks/(CollapseGuard|Evaluation)",
        "what callbacks remember is named by fields, where BEFORE had the keys of the logs",
    ),
    NotCompared(r"tfevents", "holds times; what is in it stands in metrics.csv as well"),
]
"""Everything else that the commands write is compared."""

CHANGED: list[Changed] = [
    Changed(r".", r"samples/\d{10}\.png:", "SampleGrid draws samples as evaluations do"),
    Changed(r"predict", r"\.png:|points\.csv:", "predict draws samples as evaluations do"),
    Changed(
        r"predict_and_evaluate",
        r"^(compare_\d+\.txt:|samples\.json:values/)",
        "what predict drew is measured",
    ),
    Changed(
        r".",
        r"fid/|collapse/frechet|ModelCheckpoint.*score",
        "sums of the Frechet distance are float64, no longer exact; with fewer samples than "
        "features roots of eigenvalues that should be 0 leave 1e-8",
        1e-7,
    ),
    Changed(
        r"LeCam|lecam|several_regularizers|precision_bf16_images",
        r".",
        "LeCam moves its averages before it takes its term",
    ),
    Changed(r"FastGAN|fastgan", r".", "FastGAN's losses judge every patch"),
    Changed(
        r"R3GAN|recipe_r3gan_cifar10",
        r".",
        "R3GAN's networks resample, start and have biases as their authors' do",
    ),
    Changed(
        r"recipe_(wgan_gp|wgan_gp_acgan|wgan_div|sngan|pdgan|ssgan|r[as]+gan|ra(ls|hinge)gan)_cifar10",
        r".",
        "these recipes mirror, dequantize, normalise and draw reals as their sources do",
    ),
    Changed(r"recipe_improved_gan_mnist", r".", "100 kernels, as the authors have"),
]

ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}
"""What must be set before Python starts."""
WARM = """jsonargparse lightning.pytorch.callbacks lightning.pytorch.cli lightning.pytorch.loggers
    lightning.pytorch.strategies lightning.pytorch.utilities safetensors.torch tqdm.auto
    torch._dynamo torch.nn.utils.parametrizations torchmetrics torchvision.datasets
    torchvision.utils"""
"""What the parent imports besides; nothing of the library."""
WITH_PARTS = """data model.generator model.discriminator model.objective model.regularizers
    model.augmentation model.prior model.alternation model.learning_rate trainer.callbacks"""
"""Options whose value is a part."""
LIBRARY = ("lightning_gan", "datamodules")
ASIDE = (":!docs", ":!tests", ":!scripts", ":!*.md")
"""What no command reads, so that changes there make no other results."""
PATIENCE = 900.0
"""Seconds that a command may take before it counts as hanging."""
HANGS = 124
"""The exit code of one that does."""
SHOWN = 5
"""Differences of a case that are shown."""

# ------------------------------------------------------------------------------------ the cases

SHORT = """--trainer.accelerator cpu --trainer.enable_progress_bar false
    --trainer.default_root_dir run --trainer.log_every_n_steps 1
    --trainer.check_val_every_n_epoch 1 --trainer.limit_val_batches 2
    --trainer.limit_train_batches 4 --data.batch_size 4 --model.max_images 32"""
"""Eight batches of four, a validation after every fourth."""
MEASURED = """--trainer.callbacks+=Evaluation --trainer.callbacks.num_samples 500
    --trainer.callbacks+=SampleGrid --trainer.callbacks.columns 25"""
"""Counts of samples are multiples of 250, the chunks in which they are drawn."""
LONGER = "--trainer.limit_train_batches 6 --model.max_images 48"
"""Twelve batches, where the generator moves with every fifth one only."""
SMALL = {
    "Autoencoder": "width=4 code_dim=4",
    "BEGAN": "width=4",
    "BigGAN": "width=2",
    "BigGANDeep": "width=4",
    "Conv": "width=4",
    "DCGAN": "width=4",
    "FastGAN": "width=4",
    "MLP": "width=8",
    "MLPAutoencoder": "width=8 code_dim=4",
    "R3GAN": "group_size=4",
    "ResNet": "width=8",
    "SNDCGAN": "width=4",
    "StyleGAN2": "width=4 max_width=8",
}
"""What makes the networks of a family small, in the names of BEFORE."""
HEAVY = ("cifar10", "stacked_mnist")
"""Data whose features take a minute; the first case of each makes them for the others."""

RING = f"""--data Ring --model.generator.width 8 --model.generator.depth 2
    --model.discriminator.width 8 --model.discriminator.depth 2 {SHORT}"""
DIGITS = f"""--data Digits --data.image_size 8 --model.generator.width 4
    --model.generator.latent_dim 8 --model.discriminator.width 4 {SHORT}"""
PLAIN = "--model.discriminator.batch_norm false"
CLASSES = "--model.generator.num_classes 8"
CODER = """--model.discriminator MLPAutoencoderDiscriminator --model.discriminator.width 8
    --model.discriminator.code_dim 3"""
PENALTY = "--model.regularizers+=GradientPenalty"
TWO = "--trainer.devices 2"

ON_POINTS = {
    # objectives
    "Minimax": "--model.objective Minimax --model.objective.real_label 0.9",
    "NonSaturating": "--model.objective NonSaturating --model.objective.real_label 0.9",
    "LeastSquares": """--model.objective LeastSquares --model.objective.a=-1 --model.objective.b=1
        --model.objective.c=0""",
    "Wasserstein": f"--model.objective Wasserstein {PENALTY}",
    "Hinge": "--model.objective Hinge",
    "BEGAN": f"""--model.objective BEGAN --model.objective.gamma 1.0 --model.objective.k_rate 0.1
        {CODER} --model.discriminator.depth 2 --model.discriminator.power 2""",
    "EBGAN": f"""--model.objective EBGAN --model.objective.margin 0.5
        --model.objective.pull_away 0.3 {CODER}""",
    "EBGAN_alone": f"--model.objective EBGAN --model.objective.pull_away 0 {CODER}",
    "DualContrastive": "--model.objective DualContrastive",
    "SoftmaxGAN": "--model.objective SoftmaxGAN",
    "MultiHinge": f"""{CLASSES} --model.objective MultiHinge
        --model.objective.generator_weight 0.5""",
    "RelativisticAverage": "--model.objective RelativisticAverage",
    "RelativisticAverageHinge": "--model.objective RelativisticAverageHinge",
    "RelativisticAverageLeastSquares": "--model.objective RelativisticAverageLeastSquares",
    "RelativisticPairing": """--model.objective RelativisticPairing --model.regularizers+=R1
        --model.regularizers+=R2""",
    "RelativisticPairingHinge": "--model.objective RelativisticPairingHinge",
    "RelativisticPairingLeastSquares": "--model.objective RelativisticPairingLeastSquares",
    "TopK": "--model.objective TopK --model.objective.objective NonSaturating",
    "TopK_falling": """--model.objective TopK --model.objective.objective Hinge
        --model.objective.share DecayCurve --model.objective.share.factor 0.5
        --model.objective.share.images 8 --model.objective.share.start 0.9
        --model.objective.share.end 0.25""",
    "Unrolled": """--model.objective Unrolled --model.objective.objective NonSaturating
        --model.objective.steps 2""",
    "Unrolled_first_order": """--model.objective Unrolled --model.objective.objective Minimax
        --model.objective.steps 3 --model.objective.first_order true""",
    "Unrolled_SGD": """--model.objective Unrolled --model.objective.objective LeastSquares
        --model.objective.steps 1 --model.objective.whole false
        --model.discriminator_optimizer torch.optim.SGD
        --model.discriminator_optimizer.lr 0.1""",
    # penalties on the slope
    "GradientPenalty": f"""{PENALTY} --model.regularizers.one_sided true
        --model.regularizers.every 2 --model.regularizers.weight 3""",
    "R1": """--model.regularizers+=R1 --model.regularizers.every 2
        --model.regularizers.weight LinearCurve --model.regularizers.weight.start 1
        --model.regularizers.weight.end 0 --model.regularizers.weight.images 24
        --model.regularizers.weight.delay 4""",
    "R1_difference": "--model.regularizers+=R1 --model.regularizers.difference 0.01",
    "R2": "--model.regularizers+=R2 --model.regularizers.every 3",
    "R2_difference": "--model.regularizers+=R2 --model.regularizers.difference 0.1",
    "WassersteinDivergence": """--model.objective Wasserstein
        --model.regularizers+=WassersteinDivergence --model.regularizers.power 4
        --model.regularizers.every 2""",
    "MaximumPenalty": "--model.regularizers+=MaximumPenalty --model.regularizers.every 2",
    "DRAGAN": "--model.regularizers+=DRAGAN --model.regularizers.every 2",
    # other regularizers
    "AuxiliaryClassifier": f"""{CLASSES} --model.regularizers+=AuxiliaryClassifier
        --model.regularizers.fakes false --model.regularizers.generator_weight 0.3""",
    "TwinAuxiliaryClassifier": f"""{CLASSES} --model.regularizers+=TwinAuxiliaryClassifier
        --model.regularizers.every 2""",
    "DiscriminativeClassifier": f"""{CLASSES} --model.regularizers+=DiscriminativeClassifier
        --model.regularizers.every 2""",
    "ConditionalContrastive": f"""{CLASSES} --model.regularizers+=ConditionalContrastive
        --model.regularizers.embedding_dim 8 --model.regularizers.temperature 0.5
        --model.regularizers.every 2""",
    "DataToDataCrossEntropy": f"""{CLASSES} --model.regularizers+=DataToDataCrossEntropy
        --model.regularizers.embedding_dim 8 --model.regularizers.margin 0.9
        --model.regularizers.every 2""",
    "LatentConsistency": """--model.regularizers+=LatentConsistency
        --model.regularizers.sigma 0.1 --model.regularizers.every 2""",
    "LatentOptimisation": """--model.regularizers+=LatentOptimisation
        --model.regularizers.step 0.5 --model.regularizers.share 0.5
        --model.regularizers.clip 2""",
    "WeightClipping": """--model.objective Wasserstein --model.regularizers+=WeightClipping
        --model.regularizers.bound 0.05""",
    "SpectralNormalization": """--model.regularizers+=SpectralNormalization
        --model.regularizers.generator true""",
    "OrthogonalRegularization": """--model.regularizers+=OrthogonalRegularization
        --model.regularizers.discriminator true --model.regularizers.weight 0.01""",
    "InfoGAN": """--model.generator.latent_dim 6 --model.prior CodePrior
        --model.prior.categories [3] --model.prior.continuous 2 --model.regularizers+=InfoGAN
        --model.regularizers.learned_variance false --model.regularizers.weight 2""",
    "LeCam": """--model.regularizers+=LeCam --model.regularizers.start 2
        --model.regularizers.decay 0.9""",
    "LeCam_one_sided": """--model.regularizers+=LeCam --model.regularizers.start 0
        --model.regularizers.one_sided true""",
    "Drift": "--model.regularizers+=Drift --model.regularizers.weight 0.1",
    "FeatureMatching": """--model.regularizers+=FeatureMatching
        --model.regularizers.absolute true --model.regularizers.every 2""",
    "HistoricalAveraging": "--model.regularizers+=HistoricalAveraging",
    "HistoricalAveraging_of_one": """--model.regularizers+=HistoricalAveraging
        --model.regularizers.generator false --model.regularizers.weight 10""",
    "several_regularizers": f"""{PENALTY} --model.regularizers+=Drift
        --model.regularizers+=FeatureMatching --model.regularizers+=LeCam
        --model.regularizers.start 1 --model.regularizers+=R1 --model.regularizers.every 4""",
    # augmentations, priors
    "InstanceNoise": "--model.augmentation InstanceNoise --model.augmentation.sigma 0.3",
    "InstanceNoise_falling": """--model.augmentation InstanceNoise
        --model.augmentation.sigma CosineCurve --model.augmentation.sigma.start 0.5
        --model.augmentation.sigma.end 0 --model.augmentation.sigma.images 24
        --model.augmentation.sigma.delay 4""",
    "AdaptivePseudo": """--model.augmentation AdaptivePseudo --model.augmentation.kimg 0.1
        --model.augmentation.start 0.5 --model.augmentation.every 2""",
    "Augmentations": """--model.augmentation Augmentations --model.augmentation.parts+=InstanceNoise
        --model.augmentation.parts+=AdaptivePseudo --model.augmentation.parts.start 0.5
        --model.augmentation.parts.kimg 0.1""",
    "UniformPrior": "--model.prior UniformPrior",
    # networks
    "MLP_classes": f"""{CLASSES} --model.generator.batch_norm true
        --model.discriminator.num_classes 8""",
    "Packed": """--model.discriminator Packed --model.discriminator.pack 2
        --model.discriminator.discriminator MLPDiscriminator
        --model.discriminator.discriminator.width 8""",
    "Packed_labelled": f"""{CLASSES} --model.discriminator LabelMaps
        --model.discriminator.num_classes 8 --model.discriminator.maps 2
        --model.discriminator.discriminator Packed
        --model.discriminator.discriminator.pack 2
        --model.discriminator.discriminator.discriminator MLPDiscriminator
        --model.discriminator.discriminator.discriminator.width 8""",
    "MinibatchDiscrimination": """--model.discriminator MinibatchDiscrimination
        --model.discriminator.kernels 3 --model.discriminator.dims 2
        --model.discriminator.discriminator MLPDiscriminator
        --model.discriminator.discriminator.width 8""",
    "MLPAutoencoder": f"--model.objective EBGAN {CODER} --model.discriminator.depth 2",
    # alternations, curves, optimizers
    "PerBatch": """--model.alternation PerBatch --model.alternation.discriminator_updates 2
        --model.alternation.generator_updates 3""",
    "Phases": """--model.alternation Phases --model.alternation.discriminator_epochs 2
        --model.alternation.generator_epochs 1 --model.max_images 64""",
    "LinearCurve": """--model.learning_rate LinearCurve --model.learning_rate.start 1
        --model.learning_rate.end 0 --model.learning_rate.images 24
        --model.learning_rate.delay 8""",
    "CosineCurve": """--model.learning_rate CosineCurve --model.learning_rate.start 1
        --model.learning_rate.end 0.1 --model.learning_rate.images 32""",
    "DecayCurve": """--model.learning_rate DecayCurve --model.learning_rate.factor 0.5
        --model.learning_rate.images 8""",
    "GANAdam": """--model.generator_optimizer GANAdam --model.generator_optimizer.lr 0.01
        --model.generator_optimizer.weight_decay 0.1
        --model.discriminator_optimizer GANAdam
        --model.discriminator_optimizer.betas [0.1,0.9]
        --model.discriminator_optimizer.eps 1e-4""",
    "Adam": """--model.generator_optimizer torch.optim.Adam
        --model.generator_optimizer.lr 0.01 --model.generator_optimizer.amsgrad true
        --model.discriminator_optimizer torch.optim.AdamW
        --model.discriminator_optimizer.lr 0.01""",
    "RMSprop": """--model.generator_optimizer torch.optim.RMSprop
        --model.generator_optimizer.lr 0.001 --model.discriminator_optimizer torch.optim.SGD
        --model.discriminator_optimizer.lr 0.1
        --model.discriminator_optimizer.momentum 0.9""",
    "Adagrad": """--model.generator_optimizer torch.optim.Adagrad
        --model.generator_optimizer.lr 0.01 --model.discriminator_optimizer torch.optim.NAdam
        --model.discriminator_optimizer.lr 0.01""",
    # the model's options
    "accumulate": f"--model.accumulate 2 {PENALTY}",
    "gradient_clip": "--model.gradient_clip 0.05",
    "no_average": "--model.ema_half_life 0",
    "average": "--model.ema_half_life 20 --model.ema_rampup 1.5",
    "seeds": "--model.seed 3 --data.seed 4 --seed_everything 5",
    "seed_everything": "--seed_everything 7",
    "max_epochs": "--trainer.max_epochs 2 --model.max_images 1000",
    # the Trainer's
    "precision_64": "--trainer.precision 64-true --model.regularizers+=R1",
    "precision_bf16": "--trainer.precision bf16-mixed --model.regularizers+=R1",
    "deterministic": "--trainer.deterministic true",
    "overfit": "--trainer.overfit_batches 2",
    "val_check_interval": "--trainer.val_check_interval 2",
    "logs_now_and_then": "--trainer.log_every_n_steps 3",
    "TensorBoard": "--tensorboard true",
    # callbacks
    "Balance": "--trainer.callbacks+=Balance --trainer.callbacks.every 2",
    "ImagesBar": "--trainer.enable_progress_bar true",
    "StopOnDivergence": """--trainer.callbacks+=StopOnDivergence --trainer.callbacks.every 1""",
    "LastCheckpoint": """--trainer.callbacks+=LastCheckpoint
        --trainer.callbacks.every_minutes 0.0001""",
    "EquilibriumStopping": """--trainer.callbacks+=EquilibriumStopping
        --trainer.callbacks.stop true --trainer.callbacks.patience 1
        --trainer.callbacks.deviations 100 --trainer.callbacks.tolerance 1
        --trainer.callbacks.nearest_tolerance 1 --model.max_images 320""",
    "CollapseGuard": """--trainer.callbacks+=CollapseGuard --trainer.callbacks.recover true
        --trainer.callbacks.patience 1 --trainer.callbacks.factor 1
        --trainer.callbacks.max_rollbacks 2 --model.generator_optimizer GANAdam
        --model.generator_optimizer.lr 1 --model.max_images 128""",
    # other data
    "Grid": "--data Grid --data.seed 2",
}
"""Each beside a pair of perceptrons in the plane; options as BEFORE has them."""

ON_DIGITS = {
    # regularizers that want images
    "Rotation": f"--model.regularizers+=Rotation --model.regularizers.every 2 {PLAIN}",
    "Consistency": f"""--model.regularizers+=Consistency --model.regularizers.fakes true
        --model.regularizers.every 2 {PLAIN}""",
    "PathLength": """--model.generator StyleGAN2Generator --model.generator.width 4
        --model.generator.max_width 8 --model.generator.style_dim 6
        --model.generator.latent_dim 8 --model.generator.mapping_depth 2
        --model.regularizers+=PathLength --model.regularizers.every 2
        --model.regularizers.decay 0.1 --model.regularizers.one_in 4""",
    # augmentations
    "DiffAugment": "--model.augmentation DiffAugment",
    "DiffAugment_color": """--model.augmentation DiffAugment
        --model.augmentation.translation false --model.augmentation.cutout false""",
    "AdaptiveAugmentation": """--model.augmentation AdaptiveAugmentation
        --model.augmentation.start 0.5 --model.augmentation.kimg 0.1
        --model.augmentation.every 2 --model.augmentation.filtering true
        --model.augmentation.noise true --model.augmentation.cutout true""",
    "AdaptiveAugmentation_scheduled": """--model.augmentation AdaptiveAugmentation
        --model.augmentation.schedule LinearCurve --model.augmentation.schedule.start 1
        --model.augmentation.schedule.end 0 --model.augmentation.schedule.images 32
        --model.augmentation.geometry false""",
    "AdaptiveAugmentation_penalised": f"""--model.augmentation AdaptiveAugmentation
        --model.augmentation.start 1 --model.augmentation.blit false
        --model.regularizers+=R1 {PLAIN}""",
    "AdaptivePseudo_images": """--model.augmentation AdaptivePseudo
        --model.augmentation.start 0.5 --model.augmentation.kimg 0.1""",
    # networks
    "DCGAN_minibatch_std": """--model.generator.num_classes 10
        --model.discriminator.num_classes 10 --model.discriminator.minibatch_std 4""",
    "DCGAN_spectral": f"""{PLAIN} --model.discriminator.spectral_norm true
        --model.objective Hinge""",
    "MLP_images": """--model.generator MLPGenerator --model.generator.width 8
        --model.discriminator MLPDiscriminator --model.discriminator.width 8""",
    "Autoencoder": """--data.image_size 16 --model.generator BEGANGenerator
        --model.generator.width 4 --model.generator.depth 1 --model.generator.skips true
        --model.discriminator AutoencoderDiscriminator --model.discriminator.width 4
        --model.discriminator.code_dim 4 --model.discriminator.depth 1
        --model.discriminator.power 2 --model.discriminator.skips true
        --model.objective BEGAN --model.prior UniformPrior""",
    "BEGANGenerator_classes": """--data.image_size 16 --model.generator BEGANGenerator
        --model.generator.width 4 --model.generator.num_classes 10
        --model.discriminator SNDCGANDiscriminator --model.discriminator.width 4
        --model.discriminator.num_classes 10 --model.discriminator.spectral_norm false""",
    "SNDCGAN": """--data.image_size 16 --model.generator SNDCGANGenerator
        --model.generator.width 4 --model.generator.num_classes 10
        --model.discriminator SNDCGANDiscriminator --model.discriminator.width 4
        --model.discriminator.num_classes 10 --model.objective Hinge""",
    "FastGAN": """--data.image_size 32 --model.generator FastGANGenerator
        --model.generator.width 4 --model.generator.num_classes 10
        --model.discriminator FastGANDiscriminator --model.discriminator.width 4
        --model.discriminator.num_classes 10 --model.regularizers+=Reconstruction
        --model.regularizers.every 2""",
    "FastGAN_deep": """--data.image_size 64 --model.generator FastGANGenerator
        --model.generator.width 4 --model.discriminator FastGANDiscriminator
        --model.discriminator.width 4""",
    "ResNet": """--data.image_size 32 --model.generator ResNetGenerator
        --model.generator.widths [12,8,8,4] --model.generator.adain true
        --model.generator.num_classes 10 --model.generator.spectral_norm true
        --model.discriminator ResNetDiscriminator --model.discriminator.widths [4,8,12]
        --model.discriminator.halved 1 --model.discriminator.layer_norm true
        --model.discriminator.num_classes 10""",
    "ResNet_attention": """--data.image_size 16 --model.generator ResNetGenerator
        --model.generator.width 8 --model.generator.attention 8
        --model.generator.num_classes 10 --model.discriminator ResNetDiscriminator
        --model.discriminator.width 8 --model.discriminator.attention 8
        --model.discriminator.mean_pool true --model.discriminator.spectral_norm true
        --model.discriminator.num_classes 10""",
    "BigGAN": """--data.image_size 16 --model.generator BigGANGenerator
        --model.generator.width 2 --model.generator.embedding_dim 6
        --model.generator.attention 8 --model.generator.num_classes 10
        --model.discriminator BigGANDiscriminator --model.discriminator.width 2
        --model.discriminator.attention 8 --model.discriminator.num_classes 10""",
    "BigGAN_plain": """--data.image_size 64 --model.generator BigGANGenerator
        --model.generator.width 1 --model.discriminator BigGANDiscriminator
        --model.discriminator.width 1""",
    "BigGANDeep": """--data.image_size 16 --model.generator BigGANDeepGenerator
        --model.generator.width 4 --model.generator.depth 1 --model.generator.attention 8
        --model.generator.num_classes 10 --model.discriminator BigGANDeepDiscriminator
        --model.discriminator.width 4 --model.discriminator.depth 1
        --model.discriminator.attention 8 --model.discriminator.num_classes 10""",
    "R3GAN": """--data.image_size 16 --model.generator R3GANGenerator
        --model.generator.widths [8,4] --model.generator.group_size 2
        --model.generator.blocks 2 --model.generator.expansion 3 --model.generator.patch 2
        --model.generator.num_classes 10 --model.discriminator R3GANDiscriminator
        --model.discriminator.widths [8,4] --model.discriminator.group_size 2
        --model.discriminator.blocks 2 --model.discriminator.expansion 3
        --model.discriminator.patch 2 --model.discriminator.num_classes 10
        --model.objective RelativisticPairing""",
    "StyleGAN2": """--data.image_size 16 --model.generator StyleGAN2Generator
        --model.generator.width 4 --model.generator.max_width 8
        --model.generator.style_dim 6 --model.generator.mapping_depth 2
        --model.generator.style_mixing 0.5 --model.generator.num_classes 10
        --model.discriminator StyleGAN2Discriminator --model.discriminator.width 4
        --model.discriminator.max_width 8 --model.discriminator.mapping_depth 2
        --model.discriminator.num_classes 10 --model.discriminator.minibatch_std 2""",
    "StyleGAN2_plain": """--model.generator StyleGAN2Generator --model.generator.width 4
        --model.generator.max_width 8 --model.generator.style_dim 6
        --model.generator.style_mixing 0 --model.discriminator StyleGAN2Discriminator
        --model.discriminator.width 4 --model.discriminator.max_width 8
        --model.discriminator.residual false --model.discriminator.minibatch_std 0""",
    "Packed_images": """--model.discriminator Packed --model.discriminator.pack 2
        --model.discriminator.discriminator DCGANDiscriminator
        --model.discriminator.discriminator.width 4""",
    "LabelMaps": """--model.generator.num_classes 10 --model.discriminator LabelMaps
        --model.discriminator.num_classes 10 --model.discriminator.discriminator
        DCGANDiscriminator --model.discriminator.discriminator.width 4""",
    # the model's options
    "accumulate_images": "--model.accumulate 2",
    "channels_last": "--model.channels_last true",
    "sync_batch_norm": "--model.sync_batch_norm true",
    "precision_64_images": "--trainer.precision 64-true",
    "precision_bf16_images": "--trainer.precision bf16-mixed --model.regularizers+=LeCam",
    # data
    "Digits": "--data.flip true --data.image_size 32 --data.seed 3",
}
"""Each beside a small pair of DCGAN on digits of 8 x 8 pixels; a later option wins."""

FOLDER = f"""--data ImageFolder --data.root {{made}}/pictures --data.image_size 16
    --model.generator.width 4 --model.discriminator.width 4 {SHORT}"""
MNIST = f"""--data MNIST --data.root {{data}} --model.generator.width 4
    --model.discriminator.width 4 {SHORT}"""
OF_DIGITS = "--data Digits --data.image_size 8"
OF_RING = "--data Ring"

IN_A_ROW: dict[str, list[str]] = {
    # stopped and gone on with
    "resumed": [
        f"fit {RING} {MEASURED} {PENALTY} --model.max_images 20 --ckpt_path last",
        f"fit {RING} {MEASURED} {PENALTY} --model.max_images 44 --ckpt_path last",
    ],
    "resumed_at_an_epoch": [
        f"fit {DIGITS} {MEASURED} --model.max_images 16",
        f"fit {DIGITS} {MEASURED} --model.max_images 32 --ckpt_path last",
        f"fit {DIGITS} {MEASURED} --model.max_images 40 --ckpt_path last",
    ],
    "resumed_adaptive": [
        f"fit {DIGITS} {MEASURED} {ON_DIGITS['AdaptiveAugmentation']} {images}"
        for images in ("--model.max_images 12", "--model.max_images 28 --ckpt_path last")
    ],
    "resumed_BEGAN": [
        f"fit {RING} {ON_POINTS['BEGAN']} {images}"
        for images in ("--model.max_images 12", "--model.max_images 28 --ckpt_path last")
    ],
    "resumed_LeCam": [
        f"fit {RING} {ON_POINTS['LeCam']} {images}"
        for images in ("--model.max_images 12", "--model.max_images 28 --ckpt_path last")
    ],
    "resumed_averages": [
        f"fit {RING} {ON_POINTS['HistoricalAveraging']} {images}"
        for images in ("--model.max_images 12", "--model.max_images 28 --ckpt_path last")
    ],
    "resumed_PathLength": [
        f"fit {DIGITS} {MEASURED} {ON_DIGITS['PathLength']} {images}"
        for images in ("--model.max_images 12", "--model.max_images 28 --ckpt_path last")
    ],
    "resumed_Phases": [
        f"fit {RING} {ON_POINTS['Phases']} {images}"
        for images in ("--model.max_images 20", "--model.max_images 64 --ckpt_path last")
    ],
    # begun from another run
    "warm_start": [
        f"fit {DIGITS} {MEASURED} --trainer.default_root_dir first",
        f"fit {DIGITS} {MEASURED} --model.warm_start first/version_0/checkpoints/last.ckpt",
    ],
    "FreezeD": [
        f"fit {RING} --trainer.default_root_dir first",
        f"fit {RING} {MEASURED} --model.warm_start first/version_0/checkpoints/last.ckpt "
        "--model.regularizers+=FreezeD --model.regularizers.layers 1",
    ],
    # measured in other ways
    "Evaluation": [
        f"fit {RING} --trainer.callbacks+=Evaluation --trainer.callbacks.num_samples 250 "
        "--trainer.callbacks.seed 3 --trainer.callbacks.averaged false "
        "--trainer.callbacks.truncation 0.7 --trainer.callbacks.measures "
        "[frechet,kernel,neighbours,vendi,memorisation,duplicates,modes]"
    ],
    "Evaluation_images": [
        f"fit {DIGITS} --trainer.callbacks+=Evaluation --trainer.callbacks.num_samples 250 "
        "--trainer.callbacks.extractor pixel --trainer.callbacks.classifier digits_cnn "
        "--trainer.callbacks.measures "
        "[frechet,kernel,neighbours,vendi,score,memorisation,duplicates,modes]"
    ],
    "SampleGrid": [
        f"fit {DIGITS} --model.generator.num_classes 10 --model.discriminator.num_classes 10 "
        "--trainer.callbacks+=Evaluation --trainer.callbacks.num_samples 250 "
        "--trainer.callbacks+=SampleGrid --trainer.callbacks.rows 5 "
        "--trainer.callbacks.columns 50 --trainer.callbacks.seed 3"
    ],
    # the other commands
    "validate_and_test": [
        f"fit {DIGITS} {MEASURED}",
        f"validate {DIGITS} {MEASURED} --ckpt_path last",
        f"test {DIGITS} {MEASURED} --ckpt_path last",
        f"test {DIGITS} {MEASURED} --ckpt_path best",
    ],
    "test_points": [f"fit {RING} {MEASURED}", f"test {RING} {MEASURED} --ckpt_path last"],
    "predict_and_evaluate": [
        f"fit {DIGITS} {MEASURED}",
        "predict --ckpt_path run --n 250 --output samples",
        f"evaluate --samples samples {OF_DIGITS} --output samples.json",
        f"evaluate --ckpt_path run {OF_DIGITS} --num_samples 500 --output ours.json",
        f"evaluate --ckpt_path run {OF_DIGITS} --num_samples 500 --averaged false "
        "--output raw.json",
        f"evaluate --ckpt_path run {OF_DIGITS} --num_samples 250 --extractor pixel --seed 3 "
        "--truncation 0.5 --measures [frechet,kernel,duplicates] --output pixel.json",
        "compare ours.json raw.json --despite samples",
        "compare samples.json ours.json --despite samples",
        "compare run/version_0/evaluations.jsonl run/version_0/evaluations.jsonl",
    ],
    "predict_and_evaluate_points": [
        f"fit {RING}",
        "predict --ckpt_path run --n 500 --output samples",
        f"evaluate --samples samples {OF_RING} --output samples.json",
        f"evaluate --ckpt_path run {OF_RING} --num_samples 500 --output ours.json",
        "compare samples.json ours.json --despite samples",
    ],
    "predict_classes": [
        f"fit {DIGITS} {MEASURED} --model.generator.num_classes 10 "
        "--model.discriminator.num_classes 10",
        "predict --ckpt_path run --n 250 --class 3 --truncation 0.7 --seed 4 --output samples",
        "predict --ckpt_path run/version_0/checkpoints/last.ckpt --n 250 --output others",
    ],
    "predict_styles": [
        f"fit {DIGITS} {MEASURED} {ON_DIGITS['StyleGAN2']}",
        "predict --ckpt_path run --n 250 --output samples",
        "evaluate --ckpt_path run --data Digits --data.image_size 16 --num_samples 250",
    ],
    "mnist": [
        f"fit {MNIST} {MEASURED} --data.flip true --data.val_size 100 --data.seed 2",
        f"test {MNIST} {MEASURED} --data.flip true --data.val_size 100 --ckpt_path last",
        "evaluate --ckpt_path run --data MNIST --data.root {data} --num_samples 500",
    ],
    "cifar10": [
        "fit --data CIFAR10 --data.root {data} --data.flip false --model.generator.width 4 "
        f"--model.discriminator.width 4 {SHORT} {MEASURED}",
        "evaluate --ckpt_path run --data CIFAR10 --data.root {data} --num_samples 500 "
        "--measures [frechet,score,modes]",
    ],
    "FashionMNIST": [
        "fit --data FashionMNIST --data.root {made} --data.val_size 50 --model.generator.width 4 "
        f"--model.discriminator.width 4 {SHORT} {MEASURED}"
    ],
    "stacked_mnist": [
        "fit --data StackedMNIST --data.root {data} --data.image_size 32 "
        f"--model.generator.width 4 --model.discriminator.width 4 {SHORT} {MEASURED}",
        "evaluate --ckpt_path run --data StackedMNIST --data.root {data} --data.image_size 32 "
        "--num_samples 500 --measures [frechet,modes]",
    ],
    "image_folder": [
        f"fit {FOLDER} {MEASURED} --model.generator.num_classes 2 "
        "--model.discriminator.num_classes 2",
        "evaluate --ckpt_path run --data ImageFolder --data.root {made}/pictures "
        "--data.image_size 16 --num_samples 500",
    ],
    "image_folder_grey": [
        f"fit {FOLDER} {MEASURED} --data.root {{made}}/pictures/dark --data.channels 1 "
        "--data.flip false --data.val_fraction 0.2 --data.test_fraction 0.2"
    ],
    # two processes
    "two": [f"fit {RING} {MEASURED} {TWO}"],
    "two_batch_norm": [f"fit {DIGITS} {MEASURED} {TWO}"],
    "two_sync_batch_norm": [
        f"fit {DIGITS} {MEASURED} {TWO} --model.sync_batch_norm true "
        f"{ON_DIGITS['AdaptiveAugmentation']}"
    ],
    "two_TopK": [f"fit {RING} {TWO} {ON_POINTS['TopK_falling']} {ON_POINTS['AdaptivePseudo']}"],
    "two_Unrolled": [f"fit {RING} {TWO} {ON_POINTS['Unrolled']}"],
    "two_RelativisticAverage": [
        f"fit {RING} {TWO} {ON_POINTS['RelativisticAverage']} "
        f"{ON_POINTS['MinibatchDiscrimination']}"
    ],
    "two_DualContrastive": [f"fit {RING} {TWO} {ON_POINTS['DualContrastive']}"],
    "two_BEGAN": [f"fit {RING} {TWO} {ON_POINTS['BEGAN']} --model.accumulate 2"],
    "two_EBGAN": [f"fit {RING} {TWO} {ON_POINTS['EBGAN']}"],
    "two_regularizers": [
        f"fit {RING} {TWO} {PENALTY} {ON_POINTS['ConditionalContrastive']} "
        f"{ON_POINTS['MaximumPenalty']} {ON_POINTS['DRAGAN']} {ON_POINTS['FeatureMatching']} "
        f"{ON_POINTS['LeCam']}"
    ],
    "two_PathLength": [f"fit {DIGITS} {MEASURED} {TWO} {ON_DIGITS['PathLength']}"],
    "two_resumed": [
        f"fit {RING} {MEASURED} {TWO} --model.max_images 24",
        f"fit {RING} {MEASURED} {TWO} --model.max_images 56 --ckpt_path last",
        f"test {RING} {MEASURED} {TWO} --ckpt_path last",
    ],
}
"""Commands in a row, in one folder."""


class Case(NamedTuple):
    """Commands that run in a row, in an empty folder.

    Args:
        name: Of the case, and of its folder.
        commands: The words after ``lightning-gan`` of each; ``{data}`` and ``{made}`` stand for the
            folders of genuine and of made-up data.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def processes(self) -> int:
        """How many run at a time."""
        return 2 if any(TWO.split()[0] in words for words in self.commands) else 1


def in_a_row(name: str, *commands: str) -> Case:
    """A case of commands as one types them."""
    return Case(name, tuple(tuple(shlex.split(command)) for command in commands))


def cases(checkout: Path) -> list[Case]:
    """All cases, in the names of a checkout, in the order in which they run."""
    found = [recipe(path) for path in sorted(recipes_in(checkout))]
    for kind, base, examples in (("points", RING, ON_POINTS), ("digits", DIGITS, ON_DIGITS)):
        for name, options in examples.items():
            found.append(in_a_row(f"{kind}_{name}", f"fit {base} {MEASURED} {options}"))
    found += [in_a_row(f"row_{name}", *commands) for name, commands in IN_A_ROW.items()]
    first = [next(case for case in found if kind in case.name) for kind in HEAVY]
    rest = [case for case in found if case not in first]
    return first + sorted(rest, key=lambda case: any(kind in case.name for kind in HEAVY))


def recipes_in(checkout: Path) -> list[Path]:
    """The files of the recipes."""
    return list((checkout / "lightning_gan").rglob("recipes/[!_]*.yaml"))


def recipe(path: Path) -> Case:
    """A recipe with small networks, few batches, and everything else as its file has it."""
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    arguments, data = settings["model"]["init_args"], settings["data"]
    words = ["fit", "--config", path.stem, *SHORT.split(), *MEASURED.split()]
    if arguments.get("alternation", {}).get("init_args", {}).get("discriminator_updates", 1) > 1:
        words += LONGER.split()
    for player in ("generator", "discriminator"):
        words += shrunken(f"--model.{player}", arguments[player])
    if data["class_path"] in ("MNIST", "CIFAR10", "StackedMNIST"):
        words += ["--data.root", "{data}"]
    if data["class_path"] == "ImageFolder":
        words += ["--data.root", "{made}/pictures", "--data.image_size", "64"]
    return Case(f"recipe_{path.stem}", (tuple(words),))


def shrunken(option: str, network: dict[str, Any]) -> list[str]:
    """Options that make a network small."""
    arguments = network.get("init_args", {})
    if "discriminator" in arguments:
        return shrunken(f"{option}.discriminator", arguments["discriminator"])
    family = network["class_path"].removesuffix("Generator").removesuffix("Discriminator")
    if family not in SMALL:
        raise SystemExit(f"SMALL does not say what makes the networks of {family} small: add it.")
    small = dict(pair.split("=") for pair in SMALL[family].split())
    if "widths" in arguments:
        small["widths"] = str([8] * len(arguments["widths"])).replace(" ", "")
    if arguments.get("minibatch_std", 0) > 4:
        small["minibatch_std"] = "4"
    return [word for name, value in small.items() for word in (f"{option}.{name}", value)]


# ------------------------------------------------------------------------------- running them


@dataclass
class Side:
    """A checkout, and what its commands have written.

    Args:
        checkout: Where the library is.
        results: Where its results are.
        keeps: Whether results that are there are used again.
        renamed: Whether it has the names of AFTER.
        places: Folders whose paths stand in what is written, and what takes their place.
    """

    checkout: Path
    results: Path
    keeps: bool
    renamed: bool
    places: dict[str, Path]

    def words(self, words: tuple[str, ...]) -> list[str]:
        """The words of a command as this checkout knows them."""
        if self.renamed:
            words = tuple(translated("argument", word) for word in words)
        for name in ("data", "made"):
            words = tuple(word.replace(f"{{{name}}}", str(self.places[name])) for word in words)
        return list(words)

    def key(self, case: Case) -> str:
        """What results depend on besides the commit."""
        commands = [list(words) for words in case.commands]
        if self.renamed:
            commands = [[translated("argument", w) for w in words] for words in commands]
        content = [commands, torch.__version__, lightning.__version__, sys.version]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def record(self, case: Case) -> dict[str, Any] | None:
        """What is known of a case that has run, if it has."""
        path = self.results / case.name / "record.json"
        if not path.is_file():
            return None
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return record if record["key"] == self.key(case) else None

    def needs(self, case: Case) -> bool:
        """Whether a case has to run."""
        record = self.record(case) if self.keeps else None
        return record is None or any(record["codes"])


@dataclass
class Running:
    """A case that runs on one side."""

    case: Case
    side: Side
    process: int = 0
    started: float = 0.0
    seconds: float = 0.0
    """Of the processor's time."""
    codes: list[int] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where its results are."""
        return self.side.results / self.case.name

    def start(self) -> None:
        """Starts the first command in an empty folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "files").mkdir(parents=True)
        self._next()

    def _next(self) -> None:
        words = self.side.words(self.case.commands[len(self.codes)])
        self.started = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self.process = os.fork()
        if self.process == 0:
            become(words, self.folder, len(self.codes) + 1, self.side)

    def poll(self) -> bool:
        """Whether it still runs; starts the next command where one has ended well."""
        ended, status, usage = os.wait4(self.process, os.WNOHANG)
        if ended:
            self.seconds += usage.ru_utime + usage.ru_stime
            return self._goes_on(os.waitstatus_to_exitcode(status))
        if time.monotonic() - self.started > PATIENCE:
            self.kill()
            return self._goes_on(HANGS)
        return True

    def _goes_on(self, code: int) -> bool:
        self.codes.append(code)
        if code == 0 and len(self.codes) < len(self.case.commands):
            self._next()
            return True
        places = self.side.places | {"folder": self.folder / "files"}
        record = {
            "key": self.side.key(self.case),
            "codes": self.codes,
            "seconds": round(self.seconds, 2),
            "places": {name: str(path) for name, path in places.items()},
        }
        path = self.folder / "record.json"
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return False

    def kill(self) -> None:
        """Ends the command and all that it has started."""
        for kill in (os.killpg, os.kill):  # it may not have made its group yet
            with contextlib.suppress(ProcessLookupError):
                kill(self.process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.process, 0)


def become(words: list[str], folder: Path, number: int, side: Side) -> None:
    """Turns a forked process into ``python -m lightning_gan``; never returns."""
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        output = folder / f"output_{number}.txt"
        if words[0] == "compare":  # which writes no file
            output = folder / "files" / f"compare_{number}.txt"
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream, path in ((1, output), (2, folder / f"errors_{number}.txt")):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), stream)
        os.chdir(folder / "files")
        os.environ |= {
            "LIGHTNING_GAN_CACHE": str(side.results / "cache"),
            "PYTHONPATH": str(side.checkout),
        }
        if any(TWO.split()[0] == word for word in words):  # of which more processes are started
            os.execv(sys.executable, [sys.executable, "-m", "lightning_gan", *words])
        sys.path[:] = [str(side.checkout), *sys.path[1:]]
        sys.argv = [str(side.checkout / "lightning_gan" / "__main__.py"), *words]
        code = importlib.import_module("lightning_gan.__main__").main()
        if strangers := strange_modules(side.checkout):
            sys.stderr.write(f"{', '.join(strangers)} came from elsewhere.\n")
            code = 71
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def strange_modules(checkout: Path) -> list[str]:
    """Modules of the library that were not read from a checkout."""
    own = {n: module for n, module in sys.modules.items() if n.partition(".")[0] in LIBRARY}
    places = {
        name: [*getattr(module, "__path__", []), getattr(module, "__file__", None) or ""]
        for name, module in own.items()
    }
    return [
        name
        for name, paths in places.items()
        if not any(Path(path).is_relative_to(checkout) for path in paths)
    ]


def run(waiting: deque[Running], most: int, ended: Callable[[Running], None]) -> None:
    """Runs cases, so many processes at a time; says so at the end of each."""
    active: list[Running] = []
    try:
        while waiting or active:
            for running in list(active):
                if not running.poll():
                    active.remove(running)
                    ended(running)
            busy = sum(min(running.case.processes, most) for running in active)
            while waiting and busy + min(waiting[0].case.processes, most) <= most:
                running = waiting.popleft()
                running.start()
                active.append(running)
                busy += min(running.case.processes, most)
            time.sleep(0.01)
    finally:
        for running in active:
            running.kill()


# ------------------------------------------------------------------------------- comparing them


def translated(where: Where, text: str) -> str:
    """What AFTER has for a name, or a text, of BEFORE."""
    for rule in RENAMED:
        if rule.where == where:
            text = re.sub(rule.before, rule.after, text)
    return text


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (plain data)
    """The values inside nested dictionaries and lists, each with its path."""
    inner: Iterator[tuple[Any, Any]] | None = None
    if isinstance(value, dict) and value:
        inner = iter(value.items())
    elif isinstance(value, list | tuple) and value:
        inner = iter(enumerate(value))
    if inner is None:
        yield path, value
        return
    for key, item in inner:
        yield from leaves(item, f"{path}/{key}" if path else str(key))


def content(path: Path) -> Any:  # noqa: ANN401 (plain data)
    """What a file holds, as nested dictionaries and lists."""
    if path.suffix == ".ckpt":
        return torch.load(path, map_location="cpu", weights_only=True)
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return {"mode": picture.mode, "pixels": torch.from_numpy(np.array(picture))}
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return {f"line {n}": json.loads(line) for n, line in enumerate(text.splitlines(), 1)}
    if path.suffix == ".json":
        return json.loads(text)
    if path.suffix == ".yaml":
        return yaml.safe_load(text)
    if path.name == "metrics.csv":
        rows = enumerate(csv.DictReader(text.splitlines()), 1)
        return {f"row {n}": {k: v for k, v in row.items() if v} for n, row in rows}
    if path.suffix == ".csv":
        return {f"row {n}": line.split(",") for n, line in enumerate(text.splitlines(), 1)}
    if path.suffix == ".txt":
        lines = (line.split() or [""] for line in text.splitlines())
        return {line[0]: " ".join(line[1:]) for line in lines}
    raise SystemExit(f"{path} is of a kind that is not known here: add it to `content`.")


def written(side: Side, case: Case) -> dict[str, Any]:
    """All values that a case has written, by file and path inside it, in the names of AFTER."""
    record = side.record(case)
    assert record is not None
    places = sorted(record["places"].items(), key=lambda place: -len(place[1]))
    found: dict[str, Any] = {}
    root = side.results / case.name / "files"
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = str(path.relative_to(root))
        if not compared(name):
            continue
        if not side.renamed:
            name = translated("file", name)
        for key, value in leaves(content(path)):
            if isinstance(value, str):
                for place, folder in places:
                    value = value.replace(folder, f"<{place}>")
            if not side.renamed:
                key = translated("key", key)
                value = translated("text", value) if isinstance(value, str) else value
            if f"{name}:{key}" in found:
                raise SystemExit(f"RENAMED gives two values of {case.name} the name {name}:{key}.")
            if compared(f"{name}:{key}"):
                found[f"{name}:{key}"] = value
    return found


def compared(value: str) -> bool:
    """Whether a file or value can be equal at all."""
    return not any(re.search(rule.value, value) for rule in NOT_COMPARED)


def difference(one: Any, other: Any, tolerance: float = 0.0) -> str:  # noqa: ANN401 (leaves)
    """How two values differ, in words; nothing where they do not."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return tensor_difference(one, other, tolerance)
    if type(one) is type(other):
        if repr(one) == repr(other):  # tells 0.0 from -0.0, and not NaN from NaN
            return ""
        if tolerance and near(one, other, tolerance):
            return ""
    return f"{shown(one)} and {shown(other)}"


def shown(value: Any) -> str:  # noqa: ANN401 (leaves)
    """A value in short."""
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:60]}..."


def near(one: Any, other: Any, tolerance: float) -> bool:  # noqa: ANN401 (leaves)
    """Whether two numbers, or texts of numbers, are near enough."""
    try:
        return bool(np.isclose(float(one), float(other), tolerance, tolerance, equal_nan=True))
    except (TypeError, ValueError):
        return False


def tensor_difference(one: Tensor, other: Tensor, tolerance: float) -> str:
    """How two tensors differ, in words; nothing where they do not."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return f"{shown(one)} and {shown(other)}"
    if one.reshape(-1).view(torch.uint8).equal(other.reshape(-1).view(torch.uint8)):
        return ""
    differ = one != other
    if one.is_floating_point():
        differ |= torch.signbit(one) != torch.signbit(other)
        differ &= ~(one.isnan() & other.isnan())
        if tolerance:
            differ &= ~torch.isclose(one, other, tolerance, tolerance, equal_nan=True)
    if not differ.any():
        return ""
    most = (one[differ].double() - other[differ].double()).abs().max()
    return f"{int(differ.sum())} of {one.numel()} numbers, by up to {float(most):.3g}"


@dataclass
class Verdict:
    """What came out of the comparison of a case."""

    name: str
    compared: int = 0
    excused: int = 0
    differences: list[str] = field(default_factory=list)
    failure: str = ""

    @property
    def good(self) -> bool:
        """Whether the case has passed."""
        return not (self.failure or self.differences) and self.compared > 0

    def result(self) -> str:
        """In a few words."""
        if self.failure:
            return "FAILED"
        if self.differences:
            return f"DIFFERENT: {len(self.differences)}"
        if not self.compared:
            return "NOTHING COMPARED"
        return f"equal, {self.excused} as CHANGED has it" if self.excused else "equal"

    def details(self) -> list[str]:
        """The first differences, or what the command said last."""
        if self.good:
            return []
        more = len(self.differences) - SHOWN
        lines = [self.failure] if self.failure else self.differences[:SHOWN]
        lines = [line for text in lines for line in text.splitlines()]
        return [f"{self.name}: {line}" for line in lines + ([f"and {more} more"] * (more > 0))]


def judge(case: Case, sides: tuple[Side, Side]) -> Verdict:
    """Compares what a case has written on both sides."""
    verdict = Verdict(case.name)
    for side, name in zip(sides, ("BEFORE", "AFTER"), strict=True):
        record = side.record(case)
        codes = record["codes"] if record else [70]
        if codes[-1] or len(codes) < len(case.commands):
            said = (side.results / case.name / f"errors_{len(codes)}.txt").read_text("utf-8")
            last = "\n".join(said.strip().splitlines()[-SHOWN:])
            verdict.failure = f"{name} ended with {codes[-1]} in command {len(codes)}:\n{last}"
            return verdict
    before, after = (written(side, case) for side in sides)
    for key in sorted(before.keys() | after.keys()):
        rules = [r for r in CHANGED if re.search(r.case, case.name) and re.search(r.value, key)]
        tolerance = rules[0].tolerance if rules else 0.0
        if tolerance is None:
            verdict.excused += 1
            continue
        if key not in before or key not in after:
            verdict.differences.append(f"{key}: only {'BEFORE' if key in before else 'AFTER'}")
            continue
        verdict.compared += 1
        if found := difference(before[key], after[key], tolerance):
            verdict.differences.append(f"{key}: {found}")
        verdict.excused += bool(rules)
    return verdict


def table(verdicts: list[Verdict]) -> str:
    """All cases as a table, and then what is wrong."""
    lines = ["| case | leaves compared | result |", "|---|---|---|"]
    lines += [f"| {v.name} | {v.compared:,} | {v.result()} |" for v in verdicts]
    details = [line for verdict in verdicts for line in verdict.details()]
    lines += ["", "```", *details, "```"] if details else []
    return "\n".join(lines) + "\n"


# -------------------------------------------------------------------------------------- the rest


def commit_of(checkout: Path) -> str | None:
    """The commit of a checkout; None where something that a command reads was changed since."""

    def said(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=checkout, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{checkout} is no checkout: {done.stderr.strip()}")
        return done.stdout.strip()

    if said("status", "--porcelain", "--", ".", *ASIDE):
        return None
    return said("rev-parse", "--short=12", "HEAD")


def state_of(checkout: Path) -> str:
    """A hash of the library's files."""
    digest = hashlib.sha256()
    for path in sorted(path for name in LIBRARY for path in (checkout / name).rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def sides_of(arguments: argparse.Namespace) -> tuple[Side, Side]:
    """Both checkouts, with the places of their results."""
    work = arguments.work.resolve()
    sides: list[Side] = []
    for name, checkout in (("before", arguments.before), ("after", arguments.after)):
        commit = commit_of(checkout)
        results = work / (commit or f"{name}_changed")
        if any(side.results == results for side in sides):  # the same commit, twice
            results = work / f"{commit}_again"
        places = {"checkout": checkout.resolve(), "results": results}
        places |= {"data": arguments.data.resolve(), "made": work / "made"}
        sides.append(Side(checkout.resolve(), results, bool(commit), name == "after", places))
    return sides[0], sides[1]


def make_up(folder: Path) -> None:
    """Makes small data, the same on every machine: pictures in two classes, and FashionMNIST."""
    random = np.random.default_rng(0)
    for number in range(64):
        path = folder / "pictures" / ("dark", "light")[number % 2] / f"{number:02d}.png"
        colours = random.integers(0, 128, (12, 10, 3)) + 128 * (number % 2)
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(colours.astype(np.uint8)).resize((70, 84), Image.Resampling.BOX)
            image.save(path)
        os.utime(path, (0, 0))  # which the library's cache looks at
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", 600), ("t10k", 100)):
        images = random.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">{1 + values.ndim}I", 0x800 + values.ndim, *values.shape)
            path = raw / f"{part}-{name}-ubyte"
            if not path.is_file():
                path.write_bytes(header + values.tobytes())


def listed(chosen: list[Case], side: Side) -> str:
    """The cases with their commands, and the parts of the library that none of them names."""
    lines = []
    for each in chosen:
        lines += [each.name, *(f"    {shlex.join(words)}" for words in each.commands)]
    texts = [path.read_text(encoding="utf-8") for path in recipes_in(side.checkout)]
    named = set(re.findall(r"[^\W_]+", "\n".join([*lines, *texts])))
    unnamed = sorted(parts_of(side) - named)
    lines.append(
        f"{len(chosen)} cases; parts that none of them names: {', '.join(unnamed) or 'none'}"
    )
    return "\n".join(lines) + "\n"


def parts_of(side: Side) -> set[str]:
    """The names of all parts that the command line offers."""
    asking = in_a_row("parts", *(f"fit --{option}.help" for option in WITH_PARTS.split()))
    run(deque([Running(asking, side)]), 1, lambda running: None)
    answers = (side.results / asking.name).glob("output_*.txt")
    return {
        name
        for path in answers
        for name in re.findall(r"^  (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def warm_up() -> None:
    """Imports what all commands need, and nothing of the library."""
    torch.set_num_threads(1)
    tqdm.monitor_interval = 0  # a thread would not survive a fork
    for name in WARM.split():
        importlib.import_module(name)
    own = [name for name in sys.modules if name.partition(".")[0] in LIBRARY]
    assert not own, own


def compare(arguments: argparse.Namespace) -> int:
    """Runs what has to run, compares, and writes the table; returns the exit code."""
    sides = sides_of(arguments)
    chosen = [case for case in cases(arguments.before) if re.search(arguments.only, case.name)]
    if arguments.list or not chosen:
        sys.stdout.write(listed(chosen, sides[0]))
        return int(not chosen)
    make_up(sides[0].places["made"])
    for side in sides:
        if not side.keeps:
            shutil.rmtree(side.results / "cache", ignore_errors=True)
    states = [state_of(side.checkout) for side in sides]
    waiting = deque(Running(each, side) for each in chosen for side in sides if side.needs(each))
    missing = {each.name: sum(r.case is each for r in waiting) for each in chosen}
    verdicts: dict[str, Verdict] = {}
    started, kept = time.monotonic(), 2 * len(chosen) - len(waiting)
    with tqdm(total=len(waiting), desc="running", unit="case", smoothing=0) as bar:

        def ended(running: Running) -> None:
            bar.update()
            missing[running.case.name] -= 1
            if not missing[running.case.name]:
                verdict = verdicts[running.case.name] = judge(running.case, sides)
                for line in verdict.details():
                    tqdm.write(line)

        run(waiting, arguments.jobs, ended)
    for each in tqdm(chosen, desc="comparing", unit="case"):
        if each.name not in verdicts:
            verdicts[each.name] = judge(each, sides)
    text = table([verdicts[each.name] for each in chosen])
    (arguments.work / "table.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    seconds = [sum((s.record(c) or {}).get("seconds", 0.0) for c in chosen) for s in sides]
    bad = sum(not verdict.good for verdict in verdicts.values())
    sys.stdout.write(
        f"{len(chosen)} cases, {bad} of them not equal; {time.monotonic() - started:.0f} s, with "
        f"{kept} results from before; seconds of the processor: {seconds[0]:.0f} for BEFORE and "
        f"{seconds[1]:.0f} for AFTER\n"
    )
    moved = [s for s, state in zip(sides, states, strict=True) if state_of(s.checkout) != state]
    for side in moved:
        sys.stdout.write(f"{side.checkout} was changed meanwhile: run again.\n")
        shutil.rmtree(side.results) if side.keeps else None
    return int(bool(bad or moved))


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("before", type=Path, help="A checkout.")
    parser.add_argument("after", type=Path, help="Another one.")
    parser.add_argument("--work", type=Path, required=True, help="Where everything is written.")
    parser.add_argument("--data", type=Path, default=Path("data"), help="MNIST and CIFAR-10.")
    parser.add_argument("--only", default="", help="Regular expression for the names of cases.")
    parser.add_argument("--jobs", type=int, default=2, help="Most processes at a time.")
    parser.add_argument("--list", action="store_true", help="Only say what would be run.")
    arguments = parser.parse_args(words)
    if any(os.environ.get(name) != value for name, value in ENVIRONMENT.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ENVIRONMENT)
    arguments.work.mkdir(parents=True, exist_ok=True)
    warm_up()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # and end the others
    return compare(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
