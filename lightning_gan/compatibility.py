"""Which parts can live together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lightning_gan.errors import ConfigurationError
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.layers import has_batch_norm, has_spectral_norm
from lightning_gan.objectives import Objective
from lightning_gan.regularizers import Regularizer


def check_numbers(
    positive: Mapping[str, float | None], not_negative: Mapping[str, float | None]
) -> None:
    """Refuses numbers out of range, by name; None is none.

    Raises:
        ConfigurationError: With the range.
    """
    for name, number in positive.items():
        if number is not None and number < 1:
            raise ConfigurationError(f"GAN: {name}={number} must be at least 1.")
    for name, number in not_negative.items():
        if number is not None and number < 0:
            raise ConfigurationError(f"GAN: {name}={number} must not be negative.")


def check_parts(
    generator: Generator,
    discriminator: Discriminator,
    objective: Objective,
    regularizers: Sequence[Regularizer],
) -> None:
    """Refuses parts that cannot live together.

    Raises:
        ConfigurationError: With the reason and the mend.
    """
    for name in ("channels", "image_size", "num_classes"):
        theirs, ours = getattr(generator, name), getattr(discriminator, name)
        if theirs != ours:
            raise ConfigurationError(
                f"The generator has {name}={theirs} but the discriminator has {name}={ours}: "
                "give both the same."
            )
    for regularizer in regularizers:
        regularizer.check(discriminator, regularizers)
    name = type(objective).__name__
    if objective.paired and has_batch_norm(discriminator):
        raise ConfigurationError(
            f"{name} compares reals with fakes, but batch norm in {type(discriminator).__name__} "
            "standardises the two batches apart: set its batch_norm to false."
        )
    bounded = any(regularizer.bounds_slope for regularizer in regularizers)
    if objective.needs_lipschitz and not (bounded or has_spectral_norm(discriminator)):
        raise ConfigurationError(
            f"{name} needs a critic of bounded slope: add GradientPenalty or WeightClipping to the "
            "regularizers, or spectral normalisation to the discriminator."
        )


def check_data(generator: Generator, data: object) -> None:
    """Refuses a data module of another size than the networks.

    Raises:
        ConfigurationError: With the setting to change.
    """
    for name in ("channels", "image_size"):
        theirs, ours = getattr(data, name, None), getattr(generator, name)
        if theirs is not None and theirs != ours:
            raise ConfigurationError(
                f"The data have {name}={theirs} but the networks have {name}={ours}: set {name} of "
                f"both networks to {theirs}, or leave it out."
            )
    classes = getattr(data, "num_classes", None)
    if classes is not None and generator.num_classes > classes:
        raise ConfigurationError(
            f"The networks are conditioned on {generator.num_classes} classes but the data have "
            f"{classes}: set num_classes of both networks to {classes}."
        )


def check_precision(precision: object, regularizers: Sequence[Regularizer]) -> None:
    """Refuses 16-bit floating point under a penalty that does not survive it.

    Raises:
        ConfigurationError: With the precisions to take instead.
    """
    if str(precision).startswith("16") and any(part.differentiates for part in regularizers):
        raise ConfigurationError(
            "R1 and R2 do not survive 16-bit floating point (Huang et al. 2024): take "
            "--trainer.precision bf16-mixed or 32-true."
        )
