"""What every generator and discriminator promises."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_gan.errors import ConfigurationError
from lightning_gan.parts import Part


def sample_shape(part: object, channels: int | None, image_size: int | None) -> tuple[int, int]:
    """The size of a sample, complete.

    Raises:
        ConfigurationError: If either number is missing or out of range.
    """
    name = type(part).__name__
    if channels is None or image_size is None:
        raise ConfigurationError(
            f"{name} does not know the size of the data: pass channels and image_size, "
            f"for instance {name}(channels=1, image_size=28)."
        )
    if channels < 1 or image_size < 0:
        raise ConfigurationError(
            f"{name}: channels={channels} must be positive and image_size={image_size} must not be "
            "negative (0 stands for points)."
        )
    return channels, image_size


class Generator(Part, nn.Module):
    """A network from latents to samples.

    Subclasses define ``forward(z, labels)`` on latents (N, latent_dim) and class indices (N,), and
    return images (N, channels, image_size, image_size) in [-1, 1], or points (N, channels) where
    ``image_size`` is 0. The labels are always passed; an unconditional generator ignores them.

    Args:
        latent_dim: Length of a latent.
        channels: Channels of an image, or coordinates of a point; None to take it from the data.
        image_size: Height and width in pixels, 0 for points; None to take it from the data.
        num_classes: Number of classes that it is conditioned on; 0 for none.

    Raises:
        ConfigurationError: If a size is missing or does not fit.
    """

    def __init__(
        self,
        latent_dim: int,
        channels: int | None,
        image_size: int | None,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        if latent_dim < 1 or num_classes < 0:
            raise ConfigurationError(
                f"{type(self).__name__}: latent_dim={latent_dim} must be positive and "
                f"num_classes={num_classes} not negative."
            )
        self.channels, self.image_size = sample_shape(self, channels, image_size)
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        # The embedding of the label joins the latent (cGAN, Mirza & Osindero 2014).
        self.input_dim = latent_dim * (2 if num_classes else 1)
        self.embedding = nn.Embedding(num_classes, latent_dim) if num_classes else None

    def conditioned(self, z: Tensor, labels: Tensor) -> Tensor:
        """The latent (N, latent_dim), joined by the embedding of the label where there is one."""
        return z if self.embedding is None else torch.cat([z, self.embedding(labels)], dim=1)


class Discriminator(Part, nn.Module):
    """A network from samples to logits, high for real.

    Subclasses define ``features(samples)`` -> (N, F) and end their ``__init__`` by calling
    :meth:`add_head`. The logit is a linear function of the features, plus, where there are
    classes, the inner product with the embedding of the label (projection, Miyato & Koyama 2018).

    Args:
        channels: Channels of an image, or coordinates of a point; None to take it from the data.
        image_size: Height and width in pixels, 0 for points; None to take it from the data.
        num_classes: Number of classes that it is conditioned on; 0 for none.

    Raises:
        ConfigurationError: If a size is missing or does not fit.
    """

    head: nn.Module
    projection: nn.Embedding | None

    def __init__(self, channels: int | None, image_size: int | None, num_classes: int = 0) -> None:
        super().__init__()
        if num_classes < 0:
            raise ConfigurationError(
                f"{type(self).__name__}: num_classes={num_classes} must not be negative."
            )
        self.channels, self.image_size = sample_shape(self, channels, image_size)
        self.num_classes = num_classes

    def add_head(self, num_features: int) -> None:
        """Adds what turns ``num_features`` features into a logit."""
        self.head = nn.Linear(num_features, 1)
        self.projection = nn.Embedding(self.num_classes, num_features) if self.num_classes else None

    def features(self, samples: Tensor) -> Tensor:
        """The features (N, F) that the logit is linear in."""
        raise NotImplementedError

    def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
        """Logits (N,) of samples with class indices (N,)."""
        features = self.features(samples)
        logits: Tensor = self.head(features).squeeze(1)
        if self.projection is not None:
            logits = logits + (self.projection(labels) * features).sum(dim=1)
        return logits
