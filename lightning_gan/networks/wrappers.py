"""Discriminators around any other one, which change what it looks at.

Each says by ``inner_channels(channels, arguments)`` how many channels the wrapped discriminator has
for data of so many, given the wrapper's other arguments by name.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_gan.errors import ConfigurationError, at_least, check_range, whole
from lightning_gan.networks.base import Discriminator, DiscriminatorOutput


class Wrapper(Discriminator, base=True):
    """A discriminator around an unconditional one, which gives features and logits.

    Args:
        discriminator: The one inside.
        channels: Channels of the data.
        num_classes: Number of classes.
    """

    def __init__(self, discriminator: Discriminator, channels: int, num_classes: int = 0) -> None:
        super().__init__(channels, discriminator.size, num_classes)
        self.discriminator = discriminator
        self.pack = discriminator.pack
        self.num_features = discriminator.num_features
        self.reconstructs = discriminator.reconstructs
        self.channels_last_pays = discriminator.channels_last_pays
        self.bfloat16_pays = discriminator.bfloat16_pays
        self.judges_squares = discriminator.judges_squares

    def inside(self, samples: Tensor, labels: Tensor) -> Tensor:
        """What the wrapped one looks at."""
        raise NotImplementedError

    def logits_and_features(self, samples: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N,) and the features (N, F) behind them; of packs as many as there are."""
        seen = self.inside(samples, labels)
        return self.discriminator.logits_and_features(seen, _no_labels(seen))

    def output(self, samples: Tensor, labels: Tensor) -> DiscriminatorOutput:
        """What losses read, which may be several logits for each sample."""
        if not self.judges_squares:
            return super().output(samples, labels)
        seen = self.inside(samples, labels)
        return self.discriminator.output(seen, _no_labels(seen))

    def logits_from(self, features: Tensor, labels: Tensor) -> Tensor:
        """Logits (N,) of features (N, F); the labels are ignored, or in the features already."""
        return self.discriminator.logits_from(features, _no_labels(features))


class Packed(Wrapper):
    """Judges several samples at once, which shows whether they are all alike (PacGAN).

    Packs are ``pack`` consecutive samples of the batch, joined along their channels or coordinates,
    with one logit for each pack (Lin et al. 2018, section 3). A batch of N samples thus makes
    N / pack packs, where the authors draw N packs. Only the first layer of the wrapped
    discriminator is larger for it.

    Args:
        discriminator: An unconditional one with ``pack`` times the channels of the data.
        pack: Samples in a pack; 1 leaves everything as it is.

    Raises:
        ConfigurationError: If ``pack`` is below 1, the discriminator is conditional or its channels
            cannot be shared out; when called, if a batch cannot be.
    """

    def __init__(self, discriminator: Discriminator, pack: int = 2) -> None:
        pack = whole(self, "pack", pack)
        check_range(self, at_least(1), pack=pack)
        name = type(discriminator).__name__
        if discriminator.num_classes:
            raise ConfigurationError(
                f"Packed has one logit for {pack} samples, which may be of several classes, but "
                f"{name} has num_classes={discriminator.num_classes}: set it to 0."
            )
        if discriminator.channels % pack:
            raise ConfigurationError(
                f"Packed joins {pack} samples along their channels, so that {name} needs {pack} "
                f"times the channels of the data, but it has channels={discriminator.channels}."
            )
        super().__init__(discriminator, discriminator.channels // pack)
        self.joined = pack
        self.pack *= pack

    @staticmethod
    def inner_channels(channels: int, arguments: dict[str, Any]) -> int:
        """Channels of the wrapped discriminator for data of ``channels`` channels."""
        return channels * int(arguments.get("pack", 2))

    def join(self, samples: Tensor) -> Tensor:
        """Packs (N / pack, pack * C, H, W) or (N / pack, pack * D) of samples.

        Raises:
            ConfigurationError: If the batch is no multiple of a pack.
        """
        if len(samples) % self.joined:
            raise ConfigurationError(
                f"Packed joins {self.joined} samples, and a batch of {len(samples)} is no multiple "
                "of it: change the batch size, or drop the last, incomplete batch."
            )
        return samples.reshape(-1, self.joined * samples.shape[1], *samples.shape[2:])

    def features(self, samples: Tensor) -> Tensor:
        """The features (N / pack, F) of packs."""
        return self.discriminator.features(self.join(samples))

    def inside(self, samples: Tensor, labels: Tensor) -> Tensor:
        """Packs, as ``join`` makes them; the labels are ignored."""
        return self.join(samples)


class LabelMaps(Wrapper):
    """Joins the embedding of the label to the sample (cGAN, Mirza & Osindero 2014, section 3).

    As constant maps beside the channels of an image, or as further coordinates of a point. With
    :class:`Packed` inside, every sample of a pack brings its own label.

    Args:
        discriminator: An unconditional one with ``maps`` more channels than the data.
        num_classes: Number of classes.
        maps: Length of an embedding.

    Raises:
        ConfigurationError: If ``num_classes`` or ``maps`` is below 1, or the discriminator is
            conditional itself or has no channels left for the sample.
    """

    joins_labels = True

    def __init__(self, discriminator: Discriminator, num_classes: int, maps: int = 1) -> None:
        check_range(self, at_least(1), num_classes=num_classes, maps=maps)
        name = type(discriminator).__name__
        if discriminator.num_classes:
            raise ConfigurationError(
                f"LabelMaps brings the labels, but {name} has num_classes="
                f"{discriminator.num_classes}: set it to 0."
            )
        if discriminator.channels <= maps:
            raise ConfigurationError(
                f"LabelMaps joins maps={maps} to the channels of the data, so that {name} needs "
                f"more than {maps}, but it has channels={discriminator.channels}."
            )
        super().__init__(discriminator, discriminator.channels - maps, num_classes)
        self.embedding = nn.Embedding(num_classes, maps)

    @staticmethod
    def inner_channels(channels: int, arguments: dict[str, Any]) -> int:
        """Channels of the wrapped discriminator for data of ``channels`` channels."""
        return channels + int(arguments.get("maps", 1))

    def join(self, samples: Tensor, labels: Tensor) -> Tensor:
        """Images (N, C + maps, H, W) or points (N, D + maps) with their labels."""
        embedded = self.embedding(labels).to(samples.dtype)
        embedded = embedded.view(*embedded.shape, *[1] * (samples.ndim - 2))
        return torch.cat([samples, embedded.expand(-1, -1, *samples.shape[2:])], dim=1)

    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """The features (N, F) of samples with class indices (N,), which it cannot do without.

        Raises:
            ConfigurationError: If there are no labels.
        """
        if labels is None:
            raise ConfigurationError(
                "LabelMaps shows labels to its first layer, so that there are no features without "
                "them: leave out what asks for such, or take the discriminator's own num_classes."
            )
        return self.discriminator.features(self.join(samples, labels))

    def inside(self, samples: Tensor, labels: Tensor) -> Tensor:
        """Samples with their labels, as ``join`` makes them."""
        return self.join(samples, labels)


def _no_labels(rows: Tensor) -> Tensor:
    """Labels (N,) for rows (N, ...) that an unconditional network ignores."""
    return torch.zeros(rows.shape[0], dtype=torch.long, device=rows.device)
