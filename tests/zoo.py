"""A small model for every part of the library, whatever that part needs around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from small_networks import SMALL, network_of
from tiny import picture_gan, points_gan
from torch import Tensor, nn

from lightning_gan import augment, networks, objectives, regularizers
from lightning_gan.augment import Augmentation
from lightning_gan.basics.classes import subclasses
from lightning_gan.basics.randomness import RandomStream, layer_normal
from lightning_gan.checkpoints.parts import Part
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    Discriminator,
    Generator,
    MLPAutoencoderDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    Packed,
    R3GANDiscriminator,
    R3GANGenerator,
)
from lightning_gan.objectives import Hinge, NonSaturating, Objective
from lightning_gan.regularizers import (
    R1,
    AuxiliaryTask,
    GradientPenalty,
    LatentMove,
    Penalty,
    Regularizer,
)
from lightning_gan.training.latents import CodePrior, UniformPrior

assert augment, networks
assert objectives, regularizers


def own(base: type[Part]) -> list[type[Any]]:
    """The library's parts that can be built; a new one joins by being written."""
    known = (part for part in subclasses(base) if part.__module__.startswith("lightning_gan."))
    return [part for part in known if not (part.is_base or part.__name__.startswith("_"))]


class Decoding(MLPDiscriminator):
    """A discriminator with a decoder, and without batch norm."""

    def __init__(self, channels: int, image_size: int) -> None:
        super().__init__(channels, image_size, width=8, depth=2)
        self.decoder = nn.Linear(8, channels * max(image_size, 1) ** 2)

    def reconstructions(
        self, samples: Tensor, random: RandomStream | None = None
    ) -> list[tuple[Tensor, Tensor]]:
        return [(self.decoder(self.features(samples)), samples.flatten(1))]


class Styled(Generator):
    """A generator with styles: a mapping, and two layers that the styles scale, and noise."""

    draws_noise = True

    def __init__(self) -> None:
        super().__init__(4, 1, 8)
        self.mapping = nn.Sequential(nn.Linear(4, 6), nn.Tanh())
        self.layers = nn.ModuleList(nn.Linear(6, 64) for _ in range(2))

    def styles(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
        styles: Tensor = self.mapping(z)[:, None].repeat(1, 2, 1)
        return styles

    def synthesise(self, styles: Tensor, random: RandomStream | None = None) -> Tensor:
        out = sum(layer(styles[:, i]) for i, layer in enumerate(self.layers))
        if self.training:
            out = out + 0.1 * layer_normal(styles, random, 64)
        return torch.tanh(out).unflatten(1, (1, 8, 8))  # type: ignore[union-attr, no-any-return]

    def forward(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
        return self.synthesise(self.styles(z, labels, random), random)


def with_objective(objective: Objective, more: list[Regularizer] | None = None) -> GAN:
    """A model with an objective, in the plane."""
    parts: dict[str, Any] = {}
    if objective.wants_reconstruction:
        torch.manual_seed(4)
        parts["discriminator"] = MLPAutoencoderDiscriminator(2, 0, width=8, code_dim=3)
    if objective.reads_labels:
        parts["generator"] = MLPGenerator(2, 0, width=8, depth=2, num_classes=3)
    bounds = [GradientPenalty()] if objective.needs_lipschitz else []
    gan = points_gan(objective, [*bounds, *(more or [])], **parts)
    if isinstance(gan.discriminator.head, nn.Linear):
        with torch.no_grad():  # logits on both sides of every margin
            gan.discriminator.head.weight.mul_(20)
    return gan


def with_regularizer(regularizer: Regularizer, objective: Objective | None = None) -> GAN:
    """A model with a regularizer, in the plane where that has a meaning."""
    parts: dict[str, Any] = {}
    torch.manual_seed(5)
    if isinstance(regularizer, AuxiliaryTask) and regularizer.needs_codes:
        parts = {
            "generator": MLPGenerator(2, 0, latent_dim=6, width=8),
            "prior": CodePrior((3,), 2),
        }
    elif isinstance(regularizer, AuxiliaryTask) and regularizer.needs_classes:
        parts = {"generator": MLPGenerator(2, 0, width=8, depth=2, num_classes=3)}
    elif isinstance(regularizer, LatentMove):
        parts = {"prior": UniformPrior()}
    elif isinstance(regularizer, Penalty) and regularizer.needs_decoders:
        parts = {"discriminator": Decoding(2, 0)}
    elif isinstance(regularizer, Penalty) and regularizer.needs_styles:
        parts = {"generator": Styled(), "discriminator": MLPDiscriminator(1, 8, 8)}
    objective = objective or Hinge()
    if regularizer.images_only:
        return picture_gan(objective, [regularizer])
    return points_gan(objective, [regularizer], **parts)


def with_augmentation(augmentation: Augmentation) -> GAN:
    """A model with an augmentation, on pictures."""
    return picture_gan(NonSaturating(), [R1(0.1)], augmentation=augmentation)


def with_network(kind: type[Generator | Discriminator]) -> GAN:
    """A model with a network, on pictures, against a small one of the other player."""
    torch.manual_seed(6)
    network = network_of(kind, 1)
    objective: Objective = NonSaturating()
    if isinstance(network, Generator):
        return points_gan(objective, generator=network, discriminator=MLPDiscriminator(1, 8, 8))
    if network.reconstructs:
        objective = objectives.BEGAN()
    generator = MLPGenerator(1, 8, latent_dim=4, width=8, num_classes=network.num_classes)
    return points_gan(objective, generator=generator, discriminator=network)


def examples() -> dict[str, Callable[[], GAN]]:
    """Every objective, regularizer, augmentation and network, each in a small model."""
    special: dict[type[Any], Callable[[], Any]] = {
        objectives.TopK: lambda: objectives.TopK(NonSaturating()),
        objectives.Unrolled: lambda: objectives.Unrolled(NonSaturating()),
        objectives.BEGAN: lambda: objectives.BEGAN(gamma=1.0, k_rate=0.1),
        augment.AdaptiveAugmentation: lambda: augment.AdaptiveAugmentation(kimg=0.1, start=0.5),
        augment.AdaptivePseudo: lambda: augment.AdaptivePseudo(kimg=0.1, start=0.5),
        augment.Augmentations: lambda: augment.Augmentations(
            [augment.InstanceNoise(), augment.AdaptivePseudo(kimg=0.1, start=0.5)]
        ),
        regularizers.LeCam: lambda: regularizers.LeCam(start=2),
        regularizers.FreezeD: lambda: regularizers.FreezeD(layers=1),
        regularizers.PathLength: lambda: regularizers.PathLength(every=2),
    }
    for kind in (regularizers.ConditionalContrastive, regularizers.DataToDataCrossEntropy):
        special[kind] = lambda k=kind: k(embedding_dim=8)
    found: dict[str, Callable[[], GAN]] = {}

    def add(kind: type[Any], around: Callable[[Any], GAN]) -> None:
        def made() -> GAN:
            torch.manual_seed(2)
            return around(special.get(kind, kind)())

        found[kind.__name__] = made

    for kind in own(Objective):
        add(kind, with_objective)
    for kind in own(Regularizer):
        add(kind, with_regularizer)
    for kind in own(Augmentation):
        add(kind, with_augmentation)
    for kind in [*own(Generator), *own(Discriminator)]:
        found[kind.__name__] = lambda k=kind: with_network(k)
    found["packs in the plane"] = packs
    found["R3GAN, plain"] = plain_r3gan
    found["differences behind an augmentation, on a share"] = lambda: picture_gan(
        NonSaturating(),
        [R1(0.1, difference=0.01, share=0.25), regularizers.R2(0.1, difference=0.01)],
        augmentation=augment.AdaptiveAugmentation(kimg=0.1, start=0.5),
    )
    found["a head under spectral norm"] = lambda: with_regularizer(
        regularizers.Rotation(spectral_norm=True)
    )
    return found


def plain_r3gan() -> GAN:
    """R3GAN's networks with the simpler way to resample, and with biases."""
    torch.manual_seed(2)
    sizes = {"plain": True, **SMALL[R3GANDiscriminator]}
    generator = R3GANGenerator(1, 8, latent_dim=4, **sizes)
    return points_gan(generator=generator, discriminator=R3GANDiscriminator(1, 8, **sizes))


def packs() -> GAN:
    """Packs of points under a penalty on the slope."""
    torch.manual_seed(2)
    pair = Packed(MLPDiscriminator(4, 0, 8), 2)
    return points_gan(NonSaturating(), [GradientPenalty()], discriminator=pair)
