"""Conditioning by classifiers on the discriminator's features.

Their weights learn with the discriminator; the generator learns through them while they are frozen.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.layers import maybe_spectral
from lightning_gan.regularizers.base import AuxiliaryTask
from lightning_gan.training.latents import Prior
from lightning_gan.training.schedule import Curve
from lightning_gan.training.step import Step


class _ClassHead(AuxiliaryTask):
    """A term about the classes of samples."""

    needs_classes = True

    def __init__(
        self, weight: float | Curve = 1.0, generator_weight: float | Curve = 1.0, every: int = 1
    ) -> None:
        super().__init__(weight, generator_weight, every)

    def attach(self, generator: Generator, discriminator: Discriminator, prior: Prior) -> None:
        """Makes the heads."""
        if generator.num_classes:
            self.add_heads(discriminator.num_features, generator.num_classes)

    def add_heads(self, num_features: int, num_classes: int) -> None:
        """Makes the heads on so many features for so many classes."""
        raise NotImplementedError


class AuxiliaryClassifier(_ClassHead):
    r"""The discriminator names the class, and the generator helps it to (AC-GAN).

    .. math:: L_D \mathrel{+}= \lambda_D\,[\mathrm{CE}(C(x), y) + \mathrm{CE}(C(G(z, y)), y)],
              \quad L_G \mathrel{+}= \lambda_G\,\mathrm{CE}(C(G(z, y)), y)

    (Odena et al. 2017, Eq. 2 and 3). It is known to cost diversity within the classes: keep
    ``generator_weight`` small.

    Args:
        weight: Lambda_D; the paper takes 1.
        generator_weight: Lambda_G; the paper takes 1.
        fakes: Whether the discriminator learns to name the classes of fakes too, as in the paper.
        every: Interval in each player's updates; the term is multiplied by it.

    Raises:
        ConfigurationError: If the generator has no classes.
    """

    classes: nn.Linear

    def __init__(
        self,
        weight: float | Curve = 1.0,
        generator_weight: float | Curve = 1.0,
        fakes: bool = True,
        every: int = 1,
    ) -> None:
        super().__init__(weight, generator_weight, every)
        self.fakes = fakes

    def add_heads(self, num_features: int, num_classes: int) -> None:
        """Makes the classifier."""
        self.classes = nn.Linear(num_features, num_classes)

    def discriminator_term(self, step: Step) -> Tensor:
        """Cross-entropy of the classes of reals and, where asked for, of fakes."""
        term = cross_entropy(self.classes(step.real_features), step.labels)
        if self.fakes:
            term = term + cross_entropy(self.classes(step.fake_features), step.labels)
        return term

    def generator_term(self, step: Step) -> Tensor:
        """Cross-entropy of the classes of fakes."""
        return cross_entropy(self.classes(step.fake_features), step.labels)


class TwinAuxiliaryClassifier(_ClassHead):
    r"""A second classifier, which sees fakes only, gives back the diversity that one costs (TAC).

    .. math:: L_D \mathrel{+}= \mathrm{CE}(C(x), y) + \mathrm{CE}(C_{mi}(G(z, y)), y), \quad
              L_G \mathrel{+}= \mathrm{CE}(C(G(z, y)), y) - \mathrm{CE}(C_{mi}(G(z, y)), y)

    (Gong et al. 2019, Eq. 5.)

    Args:
        weight: Factor of the discriminator's term; the paper takes 1.
        generator_weight: Factor of the generator's term.
        every: Interval in each player's updates; the term is multiplied by it.

    Raises:
        ConfigurationError: If the generator has no classes.
    """

    classes: nn.Linear
    twin: nn.Linear

    def add_heads(self, num_features: int, num_classes: int) -> None:
        """Makes both classifiers."""
        self.classes = nn.Linear(num_features, num_classes)
        self.twin = nn.Linear(num_features, num_classes)

    def discriminator_term(self, step: Step) -> Tensor:
        """One learns from reals, the twin from fakes."""
        real = cross_entropy(self.classes(step.real_features), step.labels)
        return real + cross_entropy(self.twin(step.fake_features), step.labels)

    def generator_term(self, step: Step) -> Tensor:
        """What the first classifier says of fakes, less what the twin says."""
        fake = step.fake_features
        ours = cross_entropy(self.classes(fake), step.labels)
        return ours - cross_entropy(self.twin(fake), step.labels)


class DiscriminativeClassifier(_ClassHead):
    r"""One classifier tells reals and fakes of all classes apart, 2 K kinds in all (ADC-GAN).

    .. math:: L_D \mathrel{+}= \mathrm{CE}(C(x), 2y) + \mathrm{CE}(C(G(z, y)), 2y + 1), \quad
              L_G \mathrel{+}= \mathrm{CE}(C(G(z, y)), 2y) - \mathrm{CE}(C(G(z, y)), 2y + 1)

    (Hou et al. 2022, Eq. 6.)

    Args:
        weight: Factor of the discriminator's term; the paper takes 1.
        generator_weight: Factor of the generator's term.
        every: Interval in each player's updates; the term is multiplied by it.

    Raises:
        ConfigurationError: If the generator has no classes.
    """

    classes: nn.Linear

    def add_heads(self, num_features: int, num_classes: int) -> None:
        """Makes the classifier of 2 K kinds."""
        self.classes = nn.Linear(num_features, 2 * num_classes)

    def discriminator_term(self, step: Step) -> Tensor:
        """Reals of class y are of kind 2 y, fakes of kind 2 y + 1."""
        real = cross_entropy(self.classes(step.real_features), 2 * step.labels)
        return real + cross_entropy(self.classes(step.fake_features), 2 * step.labels + 1)

    def generator_term(self, step: Step) -> Tensor:
        """Fakes should look like reals of their class rather than like fakes of it."""
        kinds = self.classes(step.fake_features)
        real = cross_entropy(kinds, 2 * step.labels)
        return real - cross_entropy(kinds, 2 * step.labels + 1)


class Rotation(AuxiliaryTask):
    r"""The discriminator sees how far an image was turned, and the generator helps (SSGAN).

    .. math:: L_D \mathrel{+}= \lambda_D\,\mathrm{CE}(C(\mathrm{rot}_k\,x), k), \quad
              L_G \mathrel{+}= \lambda_G\,\mathrm{CE}(C(\mathrm{rot}_k\,G(z)), k), \quad
              k \in \{0°, 90°, 180°, 270°\}

    with a turn drawn for each image (Chen et al. 2019, Eq. 3).

    Args:
        weight: Lambda_D; the paper takes 1.
        generator_weight: Lambda_G; the paper takes 0.2.
        every: Interval in each player's updates; the term is multiplied by it.
        spectral_norm: Whether the layer that tells the turns is spectrally normalised.

    Raises:
        ConfigurationError: If images are not square.
    """

    images_only = True
    needs_square = True
    turns: nn.Module

    def __init__(
        self,
        weight: float | Curve = 1.0,
        generator_weight: float | Curve = 0.2,
        every: int = 1,
        spectral_norm: bool = False,
    ) -> None:
        super().__init__(weight, generator_weight, every)
        self.spectral_norm = spectral_norm

    def attach(self, generator: Generator, discriminator: Discriminator, prior: Prior) -> None:
        """Makes the classifier of turns."""
        self.turns = maybe_spectral(nn.Linear(discriminator.num_features, 4), self.spectral_norm)

    def _term(self, step: Step, images: Tensor) -> Tensor:
        turn = (step.random.uniform() * 4).long().clamp(max=3)
        turned = torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)])
        chosen = turned[turn, torch.arange(len(images), device=images.device)]
        return cross_entropy(self.turns(step.features(chosen)), turn)

    def discriminator_term(self, step: Step) -> Tensor:
        """Cross-entropy of the turns of reals."""
        return self._term(step, step.real.detach())

    def generator_term(self, step: Step) -> Tensor:
        """Cross-entropy of the turns of fakes."""
        return self._term(step, step.fake)
