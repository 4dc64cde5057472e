"""What loaders of any kind give: samples and labels of each batch, and a look at the first one."""

from collections.abc import Callable, Iterator
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from lightning_gan.errors import DataError
from lightning_gan.networks.base import Generator

Batch = tuple[Tensor, Tensor]
"""Samples (N, C, H, W) in [-1, 1] or points (N, D), and class indices (N,)."""

REFERENCE = "the reference"
"""The kind of batches that others are measured against."""
TOLERANCE = 1e-3
"""How far beyond [-1, 1] rounding may take an image."""


def batch_size_of(data: object) -> int | None:
    """Samples a batch and process, of anybody's data module; None where it tells no number."""
    size = getattr(data, "batch_size", None)
    return int(size) if isinstance(size, Integral) else None


def split_of(data: object) -> Callable[[str], Any] | None:
    """What hands out the splits of anybody's data module by name, if it can be measured against."""
    split = getattr(data, "split", None)
    return split if callable(split) and hasattr(data, "channels") else None


CONVERTED = {torch.float32: ".float()", torch.float64: ".double()"}
"""How PyTorch converts to the usual types."""


class Batches:
    """Makes batches of samples and labels of what a loader gives, and looks once at the first.

    A batch may be the samples alone, or a list that begins with them, and with their labels where
    there are classes. A look waits for the device, so that the other batches are taken as they are.

    Args:
        generator: Whose samples are to look like these.
        data: The data module, or None. Of grey levels images in [-1, 1] are made, however bright.
        least: Samples that a batch of training has to have.
    """

    def __init__(self, generator: Generator, data: object = None, least: int = 1) -> None:
        self.generator, self.least = generator, least
        split = split_of(data)
        self.known = split is not None
        self.scaled = split is not None and split("train").images.dtype == torch.uint8
        self.finite = bool(self.scaled or getattr(data, "all_finite", False))
        """Whether no sample can be NaN or infinite."""
        self._looked_at: set[str] = set()

    def pair(self, batch: object, kind: str) -> Batch:
        """Samples with class indices (N,), which are zeros where there are no classes.

        Args:
            batch: What a loader gives.
            kind: What the batch is of, in words; the first of each kind is looked at, and all of
                the reference.

        Raises:
            DataError: If it does not fit the networks, with what it has and what they take.
        """
        first = kind not in self._looked_at
        name = f"{'The first' if first else 'A'} batch of {kind}"
        samples, labels = _parts(batch, name)
        if first or samples.shape[1:] != self.generator.sample_shape or kind == REFERENCE:
            self._look(samples, labels, name)
            self._looked_at.add(kind)
        if kind == "training" and len(samples) < self.least:
            raise DataError(
                f"A batch of training has {len(samples)} samples where {self.least} are needed: "
                "leave it out, by drop_last=True of a DataLoader."
            )
        if not self.known and self.generator.num_classes and samples.device.type == "cpu":
            for sentence in _classes(labels, len(samples), self.generator.num_classes):
                raise DataError(f"A batch of {kind} {sentence}.")
        if not isinstance(labels, Tensor) or labels.ndim != 1 or labels.is_floating_point():
            labels = torch.zeros(len(samples), dtype=torch.long, device=samples.device)
        return samples, labels.long()

    @torch.no_grad()
    def _look(self, samples: Tensor, labels: object, name: str) -> None:
        generator = self.generator
        # Each looks at what those before it have let pass.
        for reason in (
            _types(samples, next(generator.parameters()).dtype, bool(generator.image_size)),
            _shape(samples, generator),
            _numbers(samples),
            _range(samples, self.scaled) if generator.image_size else iter(()),
            _classes(labels, len(samples), generator.num_classes) if generator.num_classes else (),
        ):
            for sentence in reason:
                raise DataError(f"{name} {sentence}.")


def _parts(batch: object, name: str) -> tuple[Tensor, object]:
    """The samples, and the labels or None."""
    if isinstance(batch, Tensor):
        return batch, None
    if isinstance(batch, dict):
        keys = ", ".join(map(str, batch))
        raise DataError(f"{name} is a dictionary of {keys}: give (samples, labels), or samples.")
    several = batch if isinstance(batch, (list, tuple)) and batch else [batch]
    if not isinstance(several[0], Tensor):
        begins = f"begins with {type(several[0]).__name__} instead of a tensor"
        raise DataError(f"{name} {begins}: give (samples, labels), or samples alone.")
    return several[0], several[1] if len(several) > 1 else None


def _called(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _types(samples: Tensor, weights: torch.dtype, are_images: bool) -> Iterator[str]:
    """Numbers of another type than the weights."""
    if samples.dtype == weights:
        return
    mend = f"convert the samples, as {CONVERTED.get(weights, '.to()')} of a tensor does"
    if are_images and not samples.is_floating_point():
        mend = "give images.float() / 127.5 - 1 of grey levels from 0 to 255"
    yield f"is {_called(samples.dtype)} and the networks take {_called(weights)}: {mend}"


def _shape(samples: Tensor, generator: Generator) -> Iterator[str]:
    """Samples of another shape, with the mend for the usual ones."""
    shape, wanted = tuple(samples.shape), generator.sample_shape
    if shape[1:] == wanted:
        return
    channels, *size = wanted
    if shape == wanted:
        mend = "it is one sample alone: give batches, as a DataLoader does"
    elif shape[1:] == (*size, channels):
        mend = "call .permute(0, 3, 1, 2)"
    elif shape[1:] == tuple(size):
        mend = "call .unsqueeze(1)" if channels == 1 else "the channels are missing"
    else:
        mend = "set channels and image_size of both networks to the data's, or resize the samples"
    takes = ", ".join(map(str, ("N", *wanted)))
    yield f"has the shape {shape} and the networks take ({takes}): {mend}"


def _numbers(samples: Tensor) -> Iterator[str]:
    """Samples with a NaN or an infinity."""
    bad = ~samples.isfinite().flatten(1).all(1)
    if bad.any():
        yield f"is not finite: mend or remove its sample {int(bad.int().argmax())}, counted from 0"


def _range(images: Tensor, scaled: bool) -> Iterator[str]:
    """Images of another range than [-1, 1]."""
    if not images.numel():
        return
    low, high = float(images.min()), float(images.max())
    has = f"has values from {low:.4g} to {high:.4g} and the networks take images in [-1, 1]"
    if low >= 0 and high > 1 + TOLERANCE:
        yield f"{has}: give images / 127.5 - 1, if these are grey levels from 0 to 255"
    elif max(-low, high) > 1 + TOLERANCE:
        yield f"{has}: normalise by mean 0.5 and deviation 0.5, and clamp what is beyond"
    elif low >= 0 and not scaled:
        yield f"{has}, of which these are the bright half alone: give 2 * images - 1"


def _classes(labels: object, count: int, num_classes: int) -> Iterator[str]:
    """Labels that are no class indices (N,) below the number of classes."""
    knows = f"the networks know {num_classes} classes"
    if not isinstance(labels, Tensor):
        has = "no labels" if labels is None else f"labels in a {type(labels).__name__}"
        mend = "give (samples, labels), or set num_classes of both networks to 0"
        yield f"has {has} and {knows}: {mend}"
    elif labels.shape != (count,):
        mend = "give class indices (N,), of one-hot labels labels.argmax(1)"
        yield f"has labels of the shape {tuple(labels.shape)} and {knows}: {mend}"
    elif labels.is_floating_point():
        yield f"has labels of {_called(labels.dtype)} and {knows}: give whole numbers, int64"
    elif count and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        has = f"has labels from {int(labels.min())} to {int(labels.max())} and {knows}"
        yield f"{has}: number the classes from 0, or set num_classes of both networks"
