"""Counts the discriminator's scores in bins, over all processes."""

import math

import torch
from torch import Tensor

from lightning_gan.distributed import processes
from lightning_gan.gan import GAN
from lightning_gan.runs.scores import BINS, Scores, bins_over


def counted(gan: GAN, real: Tensor, fake: Tensor) -> Scores | None:
    """Reals and fakes of all processes by their scores; every process must ask.

    The scores are D(x) where the objective gives each sample a probability, its logits otherwise.
    Those that are not finite are in no bin.

    Args:
        gan: Whose scores they are.
        real: Logits (N,) of this process's reals.
        fake: Logits (M,) of its fakes.

    Returns:
        The counts, equal on all processes; None where no score is finite.
    """
    real, fake = (logits.detach().cpu().double().flatten() for logits in (real, fake))
    objective = gan.objective
    # what is relative to other samples is the probability of no sample by itself
    likely = None if objective.relative else objective.probability(real, fake)
    if likely is not None:
        low, width, count = 0.0, 1 / BINS, BINS
        real, fake = likely
    else:
        ends = processes.gather_objects(_ends(torch.cat([real, fake])))
        lowest, highest = min(low for low, _ in ends), max(high for _, high in ends)
        if lowest > highest:
            return None
        low, width, count = bins_over(lowest, highest)
    own = [_counts(scores, low, width, count) for scores in (real, fake)]
    reals, fakes = (
        torch.stack(parts).sum(0).tolist()
        for parts in zip(*processes.gather_objects(own), strict=True)
    )
    return Scores(gan.progress.images, likely is not None, low, width, reals, fakes)


def _ends(scores: Tensor) -> tuple[float, float]:
    """The smallest and the largest; infinities the wrong way round where there is none."""
    finite = scores[scores.isfinite()]
    return (float(finite.min()), float(finite.max())) if len(finite) else (math.inf, -math.inf)


def _counts(scores: Tensor, low: float, width: float, count: int) -> Tensor:
    finite = scores[scores.isfinite()]
    places = ((finite - low) / width).floor().clamp(0, count - 1)
    return torch.bincount(places.long(), minlength=count)
