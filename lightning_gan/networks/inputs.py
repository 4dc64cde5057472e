"""What networks are given, looked at before torch would fail somewhere inside.

A look reads shapes and types, which waits for no device, and none is taken while a graph is traced,
which knows shapes as symbols. The range of labels is read only after a network has failed.
"""

import torch
from torch import Tensor, nn

from lightning_gan.errors import ConfigurationError


def check_latents(generator: nn.Module, latent_dim: int, z: object) -> None:
    """Refuses what are no latents (N, latent_dim) of the generator.

    Args:
        generator: Who is given them.
        latent_dim: Length of its latents.
        z: The latents.

    Raises:
        ConfigurationError: With the shapes expected and given.
    """
    _check_rows(generator, "latents", (latent_dim,), z, "let gan.sample(N) draw them")


def check_samples(discriminator: nn.Module, shape: tuple[int, ...], samples: object) -> None:
    """Refuses what are no images (N, C, H, W), or points (N, D), of the discriminator's size.

    Args:
        discriminator: Who is given them.
        shape: (C, H, W) of its images, or (D,) of its points.
        samples: The images or points.

    Raises:
        ConfigurationError: With the shapes expected and given.
    """
    what = "images" if len(shape) > 1 else "points"
    _check_rows(discriminator, what, shape, samples, "bring them to that shape")


def _check_rows(
    network: nn.Module, what: str, row: tuple[int, ...], given: object, mend: str
) -> None:
    if torch.compiler.is_compiling():
        return
    name, shape = type(network).__name__, f"({', '.join(map(str, ('N', *row)))})"
    if not isinstance(given, Tensor):
        raise ConfigurationError(
            f"{name} takes {what} {shape}, and was given {type(given).__name__}: give a tensor."
        )
    if given.ndim != len(row) + 1 or tuple(given.shape[1:]) != row:
        if tuple(given.shape) == row:
            mend = "call .unsqueeze(0), for this is one alone"
        raise ConfigurationError(
            f"{name} takes {what} {shape}, and was given {tuple(given.shape)}: {mend}."
        )
    weight = next(network.parameters(), None)
    if weight is None or given.dtype == weight.dtype:
        return
    # Autocast makes one type of several floating point ones.
    if not given.is_floating_point() or not torch.is_autocast_enabled(given.device.type):
        takes, has = (str(dtype).removeprefix("torch.") for dtype in (weight.dtype, given.dtype))
        mend = f"call .to(torch.{takes})"
        if what == "images" and not given.is_floating_point():
            mend = f"give images.to(torch.{takes}) / 127.5 - 1 of grey levels from 0 to 255"
        raise ConfigurationError(f"{name} takes {what} of {takes}, and was given {has}: {mend}.")


def checked_labels(network: nn.Module, classes: int, labels: Tensor, rows: Tensor) -> Tensor:
    """Class indices (N,), int64, of a network that has classes.

    Args:
        network: Who is given them.
        classes: How many it has.
        labels: Whole numbers of any type.
        rows: The latents or samples (N, ...).

    Raises:
        ConfigurationError: If they are something else.
    """
    if torch.compiler.is_compiling():
        return labels
    count = len(rows)  # a constant to a graph, which must not have one
    takes = f"{type(network).__name__} takes class indices ({count},) from 0 to {classes - 1}"
    if not isinstance(labels, Tensor):
        raise ConfigurationError(
            f"{takes}, and was given {type(labels).__name__}: give a tensor of int64."
        )
    if labels.shape != (count,):
        one_hot = labels.ndim == 2 and tuple(labels.shape) == (count, classes)
        mend = "call .argmax(1) on one-hot labels" if one_hot else "give one for each row"
        raise ConfigurationError(f"{takes}, and was given {tuple(labels.shape)}: {mend}.")
    if labels.dtype == torch.bool or labels.is_floating_point() or labels.is_complex():
        dtype = str(labels.dtype).removeprefix("torch.")
        raise ConfigurationError(f"{takes}, and was given {dtype}: call .long() on them.")
    return labels.long()


def refuse_unknown_classes(network: nn.Module, classes: int, labels: Tensor) -> None:
    """Says so where a network has failed because of labels that name none of its classes.

    Args:
        network: Who has failed.
        classes: How many it has; 0 where it reads no labels.
        labels: Class indices (N,); on a GPU, which is no longer usable then, they are not read.

    Raises:
        ConfigurationError: With the label.
    """
    if not classes or not len(labels) or labels.device.type != "cpu":
        return
    low, high = (int(label) for label in labels.aminmax())
    if low < 0 or high >= classes:
        raise ConfigurationError(
            f"{type(network).__name__} takes class indices ({len(labels)},) from 0 to "
            f"{classes - 1}, and was given {low if low < 0 else high}: leave out what is no class."
        ) from None
