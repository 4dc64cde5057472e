"""Which parts can live together."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lightning_gan.augment import Augmentation
from lightning_gan.errors import ConfigurationError, UnstableWarning
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.layers import has_batch_norm, has_spectral_norm
from lightning_gan.networks.minibatch import MinibatchStd
from lightning_gan.networks.shared_norm import share_batch_norm
from lightning_gan.objectives import Objective
from lightning_gan.regularizers import R1, R2, Regularizer
from lightning_gan.training.latents import Prior


@dataclass(frozen=True)
class Composition:
    """The parts of a model, for each to see whom it is with."""

    generator: Generator
    discriminator: Discriminator
    objective: Objective
    regularizers: Sequence[Regularizer] = field(default_factory=list)
    augmentation: Augmentation | None = None
    prior: Prior | None = None
    accumulate: int = 1
    sync_batch_norm: bool = False

    def attach(self) -> None:
        """Lets each part make what depends on the others, then refuses what cannot be.

        Raises:
            ConfigurationError: With the reason and the mend.
        """
        check_networks(self)
        self.objective.attach(self)
        for regularizer in self.regularizers:
            regularizer.attach(self)
        for network in (self.generator, self.discriminator) if self.sync_batch_norm else ():
            share_batch_norm(network)
        check_parts(self)

    def check_run(self, data: object, precision: object) -> None:
        """Refuses data of another size, batches that cannot be shared out, and too few bits.

        Args:
            data: The data module, or None.
            precision: Of the Trainer.

        Raises:
            ConfigurationError: With the setting to change.
        """
        check_data(self.generator, data)
        check_batch(self.discriminator, data, self.accumulate)
        check_precision(precision, self.regularizers)


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


def check_networks(parts: Composition) -> None:
    """Refuses networks that do not fit together, or not to the kind of objective.

    Raises:
        ConfigurationError: With the reason and the mend.
    """
    generator, discriminator, objective = parts.generator, parts.discriminator, parts.objective
    for name in ("channels", "image_size", "num_classes"):
        theirs, ours = getattr(generator, name), getattr(discriminator, name)
        readers: list[Objective | Regularizer] = [objective, *parts.regularizers]
        conditioned = any(part.reads_labels for part in readers)
        if theirs != ours and not (name == "num_classes" and ours == 0 and conditioned):
            raise ConfigurationError(
                f"The generator has {name}={theirs} but the discriminator has {name}={ours}: "
                "give both the same."
            )
    name, network = type(objective).__name__, type(discriminator).__name__
    if objective.wants_reconstruction and not discriminator.reconstructs:
        raise ConfigurationError(
            f"{name} judges by the error of a reconstruction, and {network} makes none: take "
            "AutoencoderDiscriminator or MLPAutoencoderDiscriminator."
        )
    if discriminator.reconstructs and not objective.wants_reconstruction:
        raise ConfigurationError(
            f"{name} wants logits, and {network} gives the error of a reconstruction: take another "
            "discriminator, or BEGAN or EBGAN."
        )
    if parts.prior is not None and parts.prior.least > generator.latent_dim:
        raise ConfigurationError(
            f"{type(parts.prior).__name__} makes {parts.prior.least} entries and the generator has "
            f"latent_dim={generator.latent_dim}: set it to at least {parts.prior.least}."
        )


def check_parts(parts: Composition) -> None:
    """Refuses parts that cannot live together, and warns of those that do so badly.

    Raises:
        ConfigurationError: With the reason and the mend.
    """
    discriminator, objective = parts.discriminator, parts.objective
    objective.check(parts)
    for regularizer in parts.regularizers:
        _check_regularizer(regularizer, parts)
        regularizer.check(parts)
    name = type(objective).__name__
    if objective.relative and has_batch_norm(discriminator):
        raise ConfigurationError(
            f"{name} compares reals with fakes, but batch norm in {type(discriminator).__name__} "
            "standardises the two batches apart: set its batch_norm to false."
        )
    bounded = any(regularizer.bounds_slope for regularizer in parts.regularizers)
    bounded = bounded or has_spectral_norm(discriminator)
    if objective.needs_lipschitz and not bounded:
        raise ConfigurationError(
            f"{name} needs a critic of bounded slope: add GradientPenalty or WeightClipping to the "
            "regularizers, or spectral normalisation to the discriminator."
        )
    augmentation = parts.augmentation
    if augmentation is not None and augmentation.reads_signs and not objective.has_sign:
        raise ConfigurationError(
            f"{type(augmentation).__name__} adapts to the sign of logits, which means nothing under"
            f" {name}: take NonSaturating or Hinge, or AdaptiveAugmentation with a schedule."
        )
    _warn_of(parts, bounded)


def _check_regularizer(regularizer: Regularizer, parts: Composition) -> None:
    """Refuses what a whole kind of regularizers cannot live with."""
    name, discriminator = type(regularizer).__name__, parts.discriminator
    if regularizer.per_sample and discriminator.pack > 1:
        raise ConfigurationError(
            f"{name} needs the features of single samples, and Packed has one set for "
            f"{discriminator.pack}: leave one of the two out."
        )
    if regularizer.images_only and 0 in discriminator.size:
        raise ConfigurationError(f"{name} changes images, and the data are points: leave it out.")
    if [type(other) for other in parts.regularizers].count(type(regularizer)) > 1:
        raise ConfigurationError(f"{name} is there twice: give it once, with one weight.")


def _warn_of(parts: Composition, bounded: bool) -> None:
    """Warns of what was measured or proved to go badly."""
    objective, name = parts.objective, type(parts.objective).__name__
    kinds = {type(regularizer) for regularizer in parts.regularizers}
    if objective.unbounded and not bounded:
        _warn(
            f"{name}: the generator's loss has no lower bound, and nothing bounds the slope of the "
            "discriminator; add spectral normalisation, R1 or GradientPenalty."
        )
    if objective.paired and R1 in kinds and R2 not in kinds:
        _warn(f"{name} with R1 alone diverges (Huang et al. 2024); add R2.")
    lazy = [part for part in parts.regularizers if isinstance(part, (R1, R2)) and part.every > 1]
    if objective.paired and lazy:
        _warn(
            f"{name} with a penalty at every {lazy[0].every}th update fails to converge (Huang et "
            "al. 2024); take every=1."
        )
    lookers: list[Objective | Regularizer] = [objective, *parts.regularizers]
    couples = [part for part in lookers if part.looks_across]
    if parts.accumulate > 1 and (couples or has_batch_norm(parts.discriminator)):
        who = type(couples[0]).__name__ if couples else "Batch norm"
        _warn(
            f"{who} looks at a batch as a whole, and accumulate={parts.accumulate} shows it pieces;"
            " take accumulate=1 and more processes instead."
        )


def _warn(message: str) -> None:
    warnings.warn(message, UnstableWarning, stacklevel=5)


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
    if classes is not None and 0 < generator.num_classes < classes:
        raise ConfigurationError(
            f"The networks know {generator.num_classes} classes but the data have {classes}: set "
            f"num_classes of both networks to {classes}, or to 0."
        )


def check_batch(discriminator: Discriminator, data: object, accumulate: int) -> None:
    """Refuses batches that cannot be packed, or grouped by minibatch standard deviation.

    Raises:
        ConfigurationError: With a size that can.
    """
    size = getattr(data, "batch_size", None)
    groups = [part.group for part in discriminator.modules() if isinstance(part, MinibatchStd)]
    unit = discriminator.pack * math.lcm(*groups)
    if size is None or (size % (unit * accumulate) == 0):
        return
    what = f"packs of {discriminator.pack}" if not groups else f"groups of {unit} samples"
    near = max(-(-size // (unit * accumulate)), 1) * unit * accumulate
    pieces = f" in {accumulate} pieces" if accumulate > 1 else ""
    if unit > 1:
        raise ConfigurationError(
            f"The discriminator judges {what}, and batches of {size}{pieces} cannot be shared out "
            f"so: set --data.batch_size to {near}."
        )


def check_precision(precision: object, regularizers: Sequence[Regularizer]) -> None:
    """Refuses 16-bit floating point under a penalty that does not survive it.

    Raises:
        ConfigurationError: With the precisions to take instead.
    """
    twice = [type(part).__name__ for part in regularizers if part.differentiates_twice]
    if str(precision).startswith("16") and twice:
        raise ConfigurationError(
            f"{twice[0]} does not survive 16-bit floating point (Huang et al. 2024, of R1 and R2): "
            "take --trainer.precision bf16-mixed or 32-true."
        )
