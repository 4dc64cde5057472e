"""What every generator and discriminator promises."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from lightning_gan.basics.randomness import RandomStream
from lightning_gan.checkpoints.parts import Part
from lightning_gan.errors import INTEGER, ConfigurationError, at_least, check_range, name_of, sides
from lightning_gan.networks.inputs import (
    check_latents,
    check_samples,
    checked_labels,
    refuse_unknown_classes,
)

ImageSize = int | tuple[int, int] | None
"""Height and width in pixels where they are equal, or both; 0 for points; None for the data's."""


class DiscriminatorOutput(NamedTuple):
    """What a discriminator makes of samples."""

    logits: Tensor
    """Logits (N,), high for real; fewer for packs, and more where parts of samples are judged."""
    features: Tensor | None
    """Features (N, F) behind them; None where the discriminator gives none."""


class Discriminate(Protocol):
    """From samples and class indices (N,) to logits (N,) and the features (N, F) behind them."""

    def __call__(
        self, samples: Tensor, labels: Tensor, random: RandomStream | None = None
    ) -> DiscriminatorOutput:
        """What the discriminator behind the augmentation makes of samples (N, ...).

        Args:
            samples: The samples.
            labels: Their class indices (N,).
            random: What the augmentation draws from, where it is not the stream of the step.
        """


class Network(Part, nn.Module, base=True):
    """What generators and discriminators share: the shape of samples, and the number of classes.

    ``size`` is the height and width, (0, 0) for points. What a family has measured of its speed on
    a CPU stands in ``channels_last_pays`` and ``bfloat16_pays``.

    Args:
        channels: Channels of an image, or coordinates of a point; None to take it from the data.
        image_size: Height and width in pixels, one number where they are equal, 0 for points; None
            to take it from the data.
        num_classes: Number of classes that it is conditioned on; 0 for none.
        counts: Arguments of a subclass that must be at least 1, such as widths, for the check.

    Raises:
        ConfigurationError: If a size is missing, or a number out of range.
    """

    channels_last_pays = False
    """Whether it trains faster with maps that lie in memory as (N, H, W, C)."""

    bfloat16_pays = False
    """Whether it trains faster in bfloat16, where the processor multiplies that by itself."""

    def __init__(
        self, channels: int | None, image_size: ImageSize, num_classes: int = 0, **counts: int
    ) -> None:
        super().__init__()
        check_range(self, INTEGER, channels=channels, num_classes=num_classes, **counts)
        check_range(self, at_least(0), num_classes=num_classes)
        name = name_of(self)
        if channels is None or image_size is None:
            raise ConfigurationError(
                f"{name} does not know the size of the data: pass channels and image_size, "
                f"for instance {name}(channels=1, image_size=28)."
            )
        self.size = sides(self, image_size)
        check_range(self, at_least(1), channels=channels)
        check_range(self, at_least(0), image_size=min(self.size))
        check_range(self, at_least(1), **counts)
        self.channels, self.num_classes = channels, num_classes
        self.image_size = self.size[0] if self.size[0] == self.size[1] else self.size

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """(channels, height, width), or (channels,) for points."""
        return (self.channels, *self.size) if self.image_size else (self.channels,)

    def labels_for(self, rows: Tensor, labels: Tensor | None, mend: str) -> Tensor:
        """Class indices (N,) of the rows; zeros where there are no classes and none are given.

        Raises:
            ConfigurationError: If there are classes and no labels, with the mend, or the labels are
                of another shape or type.
        """
        if labels is None and self.num_classes:
            raise ConfigurationError(
                f"{type(self).__name__} knows {self.num_classes} classes: {mend}."
            )
        if labels is None:
            return torch.zeros(len(rows), dtype=torch.long, device=rows.device)
        if not self.num_classes:
            return labels
        return checked_labels(self, self.num_classes, labels, rows)


class Generator(Network, base=True):
    """A network from latents to samples.

    Subclasses define ``forward(z, labels)`` on latents (N, latent_dim) and class indices (N,), and
    return images (N, channels, height, width) in [-1, 1], or points (N, channels) where
    ``image_size`` is 0; or they set ``layers``, which make samples of the conditioned latents.
    The labels are always passed; an unconditional generator ignores them.
    One with noise inside its layers sets ``draws_noise`` and defines
    ``forward(z, labels, random=None)``.

    Args:
        latent_dim: Length of a latent.
        channels: As of :class:`Network`.
        image_size: As there.
        num_classes: As there.
        embed: Whether the embedding of the label joins the latent where there are classes (cGAN,
            Mirza & Osindero 2014); off for generators that use it elsewhere. It starts with the
            power of a one-hot label, which ACGAN joins to its latents (Odena et al. 2017): as
            strong as the latent it makes a generator that draws one picture of each class.
        counts: As there.

    Raises:
        ConfigurationError: If a size is missing or does not fit.
    """

    draws_noise: ClassVar[bool] = False
    """Whether ``forward`` takes a random stream, for noise inside the layers."""

    layers: nn.Module

    def __init__(
        self,
        latent_dim: int,
        channels: int | None,
        image_size: ImageSize,
        num_classes: int = 0,
        embed: bool = True,
        **counts: int,
    ) -> None:
        super().__init__(channels, image_size, num_classes, latent_dim=latent_dim, **counts)
        self.latent_dim = latent_dim
        joins = embed and num_classes > 0
        self.input_dim = latent_dim * (2 if joins else 1)
        self.embedding = nn.Embedding(num_classes, latent_dim) if joins else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, 0.0, latent_dim**-0.5)

    def __call__(
        self, z: Tensor, labels: Tensor | None = None, *noise: RandomStream | None
    ) -> Tensor:
        """Calls ``forward``, which always gets labels; where there are no classes they are zeros.

        Raises:
            ConfigurationError: If there are classes and no labels, or latents or labels are of
                another shape or type, with what was expected and what was given.
        """
        check_latents(self, self.latent_dim, z)
        mend = "give it the latents and class indices (N,), or let gan.sample(N) draw both"
        labels = self.labels_for(z, labels, mend)
        try:
            samples: Tensor = super().__call__(z, labels, *noise)
        except (IndexError, RuntimeError):
            refuse_unknown_classes(self, self.num_classes, labels)
            raise
        return samples

    def conditioned(self, z: Tensor, labels: Tensor) -> Tensor:
        """The latent (N, latent_dim), joined by the embedding of the label where there is one."""
        return z if self.embedding is None else torch.cat([z, self.embedding(labels)], dim=1)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Samples of latents (N, latent_dim) with class indices (N,)."""
        return self.layers(self.conditioned(z, labels))

    def generate(self, z: Tensor, labels: Tensor, random: RandomStream | None = None) -> Tensor:
        """Samples of latents (N, latent_dim), with the stream's noise where there is any.

        Args:
            z: Latents.
            labels: Class indices (N,).
            random: A stream for these rows; torch's own generator where None.
        """
        return self(z, labels, random) if self.draws_noise else self(z, labels)

    def generate_truncated(
        self, z: Tensor, labels: Tensor, random: RandomStream | None, psi: float
    ) -> Tensor:
        """Samples whose styles are pulled towards the average style, where there are styles.

        Raises:
            ConfigurationError: If there are none.
        """
        raise ConfigurationError(
            f"psi={psi} pulls styles towards their average, and {type(self).__name__} has none: "
            "leave it out, or cut latents off by truncation."
        )


class Discriminator(Network, base=True):
    """A network from samples to logits, high for real.

    Subclasses define ``features(samples)`` -> (N, F), or set ``layers``, which give them, and end
    their ``__init__`` by calling :meth:`add_head`. The logit is a linear function of the features,
    plus, where there are classes, the inner product with the embedding of the label (projection,
    Miyato & Koyama 2018).
    Arguments are those of :class:`Network`.
    """

    layers: nn.Module
    head: nn.Module
    projection: nn.Module | None

    reconstructs = False
    """Whether the logit is minus the error of a reconstruction (BEGAN, EBGAN)."""

    pack = 1
    """Samples behind one logit (PacGAN)."""

    judges_squares = False
    """Whether losses read several logits of a sample, one for each square of the image."""

    num_features = 0
    """Features that the head reads; none until :meth:`add_head`."""

    compiled_pass: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None
    """What :meth:`compile` has made of ``logits_and_features``, which losses call."""

    def __call__(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Calls ``forward``, which always gets labels; where there are no classes they are zeros.

        Raises:
            ConfigurationError: If there are classes and no labels, or samples or labels are of
                another shape or type, with what was expected and what was given.
        """
        check_samples(self, self.sample_shape, samples)
        mend = "give it the samples and class indices (N,)"
        labels = self.labels_for(samples, labels, mend)
        try:
            logits: Tensor = super().__call__(samples, labels)
        except (IndexError, RuntimeError):
            refuse_unknown_classes(self, self.num_classes, labels)
            raise
        return logits

    def add_head(self, num_features: int) -> None:
        """Adds what turns ``num_features`` features into a logit."""
        self.num_features = num_features
        self.head = nn.Linear(num_features, 1)
        self.projection = nn.Embedding(self.num_classes, num_features) if self.num_classes else None

    @staticmethod
    def inner_channels(channels: int, arguments: dict[str, Any]) -> int:
        """Channels of the discriminator that a wrapper is around, for data of so many.

        Args:
            channels: Of the data.
            arguments: The wrapper's other arguments, by name.
        """
        return channels

    def features(self, samples: Tensor) -> Tensor:
        """The features (N, F) that the logit is linear in."""
        return self.layers(samples)

    def logits_from(self, features: Tensor, labels: Tensor) -> Tensor:
        """Logits (N,) of features (N, F) with class indices (N,)."""
        logits: Tensor = self.head(features).squeeze(1)
        if self.projection is not None:
            logits = logits + (self.projection(labels) * features).sum(dim=1)
        return logits

    def logits_and_features(self, samples: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N,) of samples with class indices (N,), and the features (N, F) behind them."""
        features = self.features(samples)
        return self.logits_from(features, labels), features

    def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
        """Logits (N,) of samples with class indices (N,)."""
        return self.logits_and_features(samples, labels)[0]

    def compile(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 (nn.Module's)
        """Compiles what is called from outside and what losses call; as ``nn.Module.compile``."""
        super().compile(*arguments, **options)
        self.compiled_pass = torch.compile(self.logits_and_features, *arguments, **options)

    def __getstate__(self) -> dict[str, Any]:
        """What a copy has: nothing compiled, which would be this one's."""
        state: dict[str, Any] = super().__getstate__()  # type: ignore[no-untyped-call]  # torch's
        return {name: value for name, value in state.items() if name != "compiled_pass"}

    def output(self, samples: Tensor, labels: Tensor) -> DiscriminatorOutput:
        """What losses read: logits and features, float32 or wider even under autocast."""
        # One that defines forward itself is called as it is, and may have no features.
        if type(self).forward is not Discriminator.forward:
            return DiscriminatorOutput(wide(self(samples, labels)), None)
        look = self.compiled_pass or self.logits_and_features
        logits, features = look(samples, labels)
        return DiscriminatorOutput(wide(logits), wide(features))


def wide(values: Tensor) -> Tensor:
    """The numbers in float32, or in float64 where they are."""
    return values if values.dtype == torch.float64 else values.float()
