"""What several families of networks share."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.spectral_norm import SpectralNorm

from lightning_gan.errors import ConfigurationError, name_of, said

M = TypeVar("M", bound=nn.Module)

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def has_batch_norm(network: nn.Module) -> bool:
    """Whether any layer of ``network`` standardises over the batch."""
    return any(isinstance(module, BATCH_NORMS) for module in network.modules())


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Lets batch norm standardise by the batch at hand, as in training, without remembering it.

    A discriminator sees reals and fakes in batches of their own. Its running statistics are of
    both together, under which it scores neither as it does in training.
    """
    norms = [module for module in network.modules() if isinstance(module, BATCH_NORMS)]
    before = [(norm.training, norm.track_running_stats) for norm in norms]
    for norm in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, (training, tracked) in zip(norms, before, strict=True):
            norm.training, norm.track_running_stats = training, tracked


def has_spectral_norm(network: nn.Module) -> bool:
    """Whether any layer of ``network`` is spectrally normalised, in either way of PyTorch's."""
    return any(
        type(part).__name__ == "_SpectralNorm" or isinstance(part, SpectralNorm)
        for module in network.modules()
        for part in (module, *module._forward_pre_hooks.values())
    )


def copy_of(network: M) -> M:
    """A copy that shares nothing with ``network``.

    Raises:
        ConfigurationError: If it cannot be copied yet, or at all.
    """
    if any(map(is_lazy, network.parameters())):
        raise ConfigurationError(
            f"{name_of(network)} has lazy layers, whose sizes are not known yet: call it once, "
            "with a batch, before it is handed over."
        )
    try:
        return copy.deepcopy(network)
    except RuntimeError as error:
        raise ConfigurationError(
            f"{name_of(network)} cannot be copied ({said(error)[:80]} ...): take weight_norm and "
            "spectral_norm from torch.nn.utils.parametrizations, whose older forms cannot."
        ) from error


def maybe_spectral(layer: nn.Module, spectral: bool) -> nn.Module:
    """``layer``, spectrally normalised (Miyato et al. 2018) where ``spectral`` says so."""
    return spectral_norm(layer) if spectral else layer


def zero_bias(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> None:
    """Lets the biases of ``layer`` start at zero, where it has any."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def dense_to_map(inputs: int, maps: int, size: tuple[int, int]) -> nn.Sequential:
    """A dense layer from vectors (N, inputs) to maps (N, maps, height, width)."""
    return nn.Sequential(
        nn.Linear(inputs, maps * size[0] * size[1]), nn.Unflatten(1, (maps, *size))
    )


def perceptron(
    units: Sequence[int], activation: Callable[[], nn.Module], batch_norm: bool = False
) -> list[nn.Module]:
    """Dense layers from each number of units to the next, each with an activation behind it."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(units):
        norms = [nn.BatchNorm1d(outputs)] if batch_norm else []
        layers += [nn.Linear(inputs, outputs), *norms, activation()]
    return layers


def halvings(network: object, size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """How an image is halved until its shorter side has 4 to 7 pixels.

    Args:
        network: The network, or its name, for the error.
        size: Height and width in pixels.

    Returns:
        The number of halvings, and the height and width of the smallest map: 2 and (7, 7) for 28
        pixels, 3 and (4, 4) for 32, 3 and (4, 8) for 32 x 64.

    Raises:
        ConfigurationError: If the shorter side is none of 4, 5, 6 or 7 times a power of two, or the
            longer one cannot be halved as often.
    """
    name = name_of(network)
    if 0 in size:
        raise ConfigurationError(
            f"{name} makes images, but the data are points: take the MLP networks instead."
        )
    steps, side = 0, min(size)
    while side > 7 and side % 2 == 0:
        steps, side = steps + 1, side // 2
    if steps == 0 or not 4 <= side <= 7:
        fits = sorted(start * 2**power for start in (4, 5, 6, 7) for power in range(1, 8))
        near = sorted(fits, key=lambda fit: abs(fit - min(size)))[:2]
        raise ConfigurationError(
            f"{name} cannot make images of {min(size)} pixels, only of 4 to 7 times a power of "
            f"two: the nearest sizes are {min(near)} and {max(near)}."
        )
    if max(size) % 2**steps:
        raise ConfigurationError(
            f"{name} halves {size[0]} x {size[1]} pixels {steps} times, so both sides must be "
            f"multiples of {2**steps}."
        )
    return steps, (size[0] // 2**steps, size[1] // 2**steps)
