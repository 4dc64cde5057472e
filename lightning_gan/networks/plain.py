"""Plain modules as players: any ``nn.Module`` that makes samples, or judges them."""

from typing import overload

import torch
from torch import Tensor, nn

from lightning_gan.errors import (
    INTEGER,
    ConfigurationError,
    WeightsError,
    at_least,
    check_range,
    said,
)
from lightning_gan.networks.base import Discriminator, Generator, ImageSize
from lightning_gan.networks.layers import copy_of

TRIED = 2
"""Samples that a module is tried out with."""


# Both are bases on the command line's account: it can name no module.
class PlainGenerator(Generator, base=True):
    """A plain module as generator; :func:`wrap` makes it.

    Args:
        module: From latents, and class indices (N,) where there are classes, to samples.
        latent_dim: Length of a latent.
        channels: As of :class:`Generator`.
        image_size: As there.
        num_classes: As there.
        maps: Whether the module takes latents as maps (N, latent_dim, 1, 1).

    Raises:
        WeightsError: If the module is a name from a checkpoint, which holds no module.
    """

    def __init__(
        self,
        module: nn.Module,
        latent_dim: int,
        channels: int,
        image_size: ImageSize,
        num_classes: int = 0,
        maps: bool = False,
    ) -> None:
        super().__init__(latent_dim, channels, image_size, num_classes, embed=False)
        _refuse_name(module, "generator", f"latent_dim={latent_dim}")
        self.module, self.maps = module, maps

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Samples of latents (N, latent_dim) with class indices (N,)."""
        latents = z[:, :, None, None] if self.maps else z
        return self.module(latents, labels) if self.num_classes else self.module(latents)


class PlainDiscriminator(Discriminator, base=True):
    """A plain module as discriminator; :func:`wrap` makes it.

    Args:
        module: From samples, and class indices (N,) where there are classes, to N logits.
        channels: As of :class:`Discriminator`.
        image_size: As there.
        num_classes: As there.

    Raises:
        WeightsError: If the module is a name from a checkpoint, which holds no module.
    """

    def __init__(
        self, module: nn.Module, channels: int, image_size: ImageSize, num_classes: int = 0
    ) -> None:
        super().__init__(channels, image_size, num_classes)
        size = f"channels={channels}, image_size={image_size}"
        _refuse_name(module, "discriminator", size)
        self.module = module

    def features(self, samples: Tensor) -> Tensor:
        """There are none.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(
            f"A part reads features, and {type(self.module).__name__} was wrapped as a plain "
            "module, which gives logits alone: subclass lightning_gan.networks.Discriminator."
        )

    def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
        """Logits (N,) of samples with class indices (N,)."""
        found: Tensor = self.module(samples, labels) if self.num_classes else self.module(samples)
        return found.reshape(samples.shape[0])


@overload
def wrap(
    module: nn.Module,
    latent_dim: int,
    channels: int | None = None,
    image_size: ImageSize = None,
    num_classes: int = 0,
) -> PlainGenerator: ...


@overload
def wrap(
    module: nn.Module,
    latent_dim: None = None,
    channels: int | None = None,
    image_size: ImageSize = None,
    num_classes: int = 0,
) -> PlainDiscriminator: ...


def wrap(
    module: nn.Module,
    latent_dim: int | None = None,
    channels: int | None = None,
    image_size: ImageSize = None,
    num_classes: int = 0,
) -> PlainGenerator | PlainDiscriminator:
    """Makes a player of a plain module: a generator where ``latent_dim`` is given.

    A generator is called as ``module(z)`` with z of shape (N, latent_dim), or (N, latent_dim, 1, 1)
    where it takes no other, and gives images in [-1, 1] or points; their size is found by trying. A
    discriminator is called as ``module(samples)`` and gives one logit for each sample, high for
    real. With ``num_classes`` both are given class indices (N,) as well.

    A checkpoint holds weights and no code, so that ``load(path, generator=...)`` needs the module.

    Args:
        module: The module, with weights.
        latent_dim: Length of a latent, of a generator.
        channels: Channels of an image, or coordinates of a point, of a discriminator.
        image_size: Height and width in pixels, one number where they are equal; 0 for points.
        num_classes: Number of classes that it is conditioned on; 0 for none.

    Raises:
        ConfigurationError: If it is no module of that kind, with what it was given and what it did.

    Example:
        >>> wrap(nn.Linear(8, 2), latent_dim=8).sample_shape  # points in the plane
        (2,)
        >>> wrap(nn.Linear(2, 1), channels=2, image_size=0).sample_shape
        (2,)
    """
    name = type(module).__name__
    if not isinstance(module, nn.Module) or isinstance(module, (Generator, Discriminator)):
        raise ConfigurationError(f"wrap makes a player of a plain nn.Module, and {name} is none.")
    if next(module.parameters(), None) is None:
        raise ConfigurationError(f"{name} has no weights that could learn.")
    copy_of(module)  # or it is refused
    sizes = {"latent_dim": latent_dim, "channels": channels}
    check_range("wrap", INTEGER, **sizes, num_classes=num_classes)
    check_range("wrap", at_least(1), **sizes)
    if latent_dim is not None:
        return _generator(module, latent_dim, channels, image_size, num_classes)
    if channels is None or image_size is None:
        raise ConfigurationError(
            f"wrap({name}) does not say what it is: give latent_dim of a generator, or channels "
            "and image_size of a discriminator."
        )
    return _discriminator(module, channels, image_size, num_classes)


def _generator(
    module: nn.Module,
    latent_dim: int,
    channels: int | None,
    image_size: ImageSize,
    num_classes: int,
) -> PlainGenerator:
    name = type(module).__name__
    shape, maps = _samples_of(module, latent_dim, num_classes)
    size: ImageSize = (shape[1], shape[2]) if len(shape) == 3 else 0
    found = PlainGenerator(module, latent_dim, shape[0], size, num_classes, maps)
    asked = channels or found.channels, image_size or found.image_size
    if asked not in ((found.channels, found.image_size), (found.channels, size)):
        raise ConfigurationError(
            f"{name} makes samples {shape}, and channels={channels}, image_size={image_size} are "
            "asked for: leave these out."
        )
    latents = torch.zeros(TRIED, latent_dim)
    rows = latents[:, :, None, None] if maps else latents
    if found.image_size and _ends_in_sigmoid(module, rows, num_classes):
        raise ConfigurationError(
            f"{name} ends in a Sigmoid and its images are to be in [-1, 1]: take nn.Tanh."
        )
    return found


def _discriminator(
    module: nn.Module, channels: int, image_size: ImageSize, num_classes: int
) -> PlainDiscriminator:
    name = type(module).__name__
    found = PlainDiscriminator(module, channels, image_size, num_classes)
    rows = torch.zeros(TRIED, *found.sample_shape)
    if _ends_in_sigmoid(module, rows, num_classes):
        raise ConfigurationError(
            f"{name} ends in a Sigmoid and the losses take logits: leave the Sigmoid out."
        )
    logits = _tried(module, rows, num_classes)
    if isinstance(logits, str) or logits.numel() != TRIED:
        did = logits if isinstance(logits, str) else f"gave {tuple(logits.shape)}"
        raise ConfigurationError(
            f"{name} was given {TRIED} samples {found.sample_shape} and {did}, where one logit for "
            "each is wanted."
        )
    return found


def _ends_in_sigmoid(module: nn.Module, rows: Tensor, num_classes: int) -> bool:
    """Whether what a module gives is what a Sigmoid in it has given, if in another shape."""
    watched, given = copy_of(module), []
    for layer in watched.modules():
        if isinstance(layer, nn.Sigmoid):
            layer.register_forward_hook(lambda _, __, output: given.append(output))
    found = _tried(watched, rows, num_classes)
    return isinstance(found, Tensor) and any(
        found.data_ptr() == output.data_ptr() and found.numel() == output.numel()
        for output in given
    )


def _samples_of(
    module: nn.Module, latent_dim: int, num_classes: int
) -> tuple[tuple[int, ...], bool]:
    """The shape of a sample that a module makes, and whether of latents as maps."""
    latents = torch.zeros(TRIED, latent_dim)
    tried = [latents, latents[:, :, None, None]]
    results = [_tried(module, z, num_classes) for z in tried]
    for result, maps in zip(results, (False, True), strict=True):
        if isinstance(result, Tensor) and result.ndim in (2, 4) and len(result) == TRIED:
            return tuple(result.shape[1:]), maps
    did = [r if isinstance(r, str) else f"gave {tuple(r.shape)}" for r in results]
    raise ConfigurationError(
        f"{type(module).__name__} was given latents {tuple(tried[0].shape)} and {did[0]}, given "
        f"{tuple(tried[1].shape)} it {did[1]}, where images ({TRIED}, C, H, W) or points "
        f"({TRIED}, D) are wanted."
    )


@torch.no_grad()
def _tried(module: nn.Module, rows: Tensor, num_classes: int) -> Tensor | str:
    """What a copy of the module makes of some rows, or what it said instead."""
    weight = next(module.parameters())
    labels = torch.zeros(len(rows), dtype=torch.long, device=weight.device)
    try:
        network = copy_of(module).eval()
        found = network(rows.to(weight), *([labels] if num_classes else []))
    except Exception as error:  # whatever somebody's module does
        return f"failed ({said(error)[:200]})"
    return found if isinstance(found, Tensor) else f"gave a {type(found).__name__}"


def _refuse_name(module: nn.Module | str, player: str, sizes: str) -> None:
    """Refuses the name that stands in a checkpoint for a module.

    Raises:
        WeightsError: With how to load it.
    """
    if isinstance(module, str):
        raise WeightsError(
            f"The checkpoint's {player} is a plain module, {module}, of which it holds the weights "
            f"and no code: give it, as in lightning_gan.load(path, {player}=lightning_gan.networks."
            f"wrap({module}(...), {sizes}))."
        )
