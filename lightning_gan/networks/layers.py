"""What several families of networks share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_gan.errors import ConfigurationError

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
    """Whether any layer of ``network`` is spectrally normalised."""
    return any(type(module).__name__ == "_SpectralNorm" for module in network.modules())


def maybe_spectral(layer: nn.Module, spectral: bool) -> nn.Module:
    """``layer``, spectrally normalised (Miyato et al. 2018) where ``spectral`` says so."""
    return spectral_norm(layer) if spectral else layer


def halvings(name: str, image_size: int) -> tuple[int, int]:
    """How an image is halved down to a map of 4 to 7 pixels.

    Returns:
        The number of halvings and the size of the smallest map: (2, 7) for 28 pixels, (3, 4) for 32
        and (4, 4) for 64.

    Raises:
        ConfigurationError: If the size is none of 4, 5, 6 or 7 times a power of two.
    """
    steps, size = 0, image_size
    while size > 7 and size % 2 == 0:
        steps, size = steps + 1, size // 2
    if steps == 0 or not 4 <= size <= 7:
        if image_size == 0:
            raise ConfigurationError(
                f"{name} makes images, but the data are points: take the MLP networks instead."
            )
        fits = sorted(start * 2**power for start in (4, 5, 6, 7) for power in range(1, 8))
        near = sorted(fits, key=lambda fit: abs(fit - image_size))[:2]
        raise ConfigurationError(
            f"{name} cannot make images of {image_size} pixels, only of 4 to 7 times a power of "
            f"two: the nearest sizes are {min(near)} and {max(near)}."
        )
    return steps, size
