"""A hinge over the classes of the data and one more, "generated"."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from lightning_gan.errors import ConfigurationError
from lightning_gan.objectives.base import Objective
from lightning_gan.training.step import ScoredBatch

if TYPE_CHECKING:
    from lightning_gan.training.composition import Composition


def multi_hinge(outputs: Tensor, target: Tensor) -> Tensor:
    r"""What each sample lacks to a lead of one over all other classes (N,).

    .. math:: h(o, y) = [1 - o_y + \max_{j \ne y} o_j]_+

    (Crammer & Singer 2001.)

    Args:
        outputs: Scores (N, K) of the classes.
        target: Class indices (N,).
    """
    chosen = outputs.gather(1, target[:, None]).squeeze(1)
    rest = outputs.scatter(1, target[:, None], -torch.inf)
    return torch.relu(1 - chosen + rest.max(dim=1).values)


class MultiHinge(Objective):
    r"""The discriminator tells the K classes of reals and generated samples apart (MHGAN).

    .. math:: L_D = \mathbb{E}\,h(D(x), y) + \mathbb{E}\,h(D(G(z)), K), \quad
              L_G = \lambda\,\mathbb{E}\,h(D(G(z)), y)

    with the multi-class hinge h (Kavalerov et al. 2021, Eq. 6 to 8). K scores of the classes are
    learned on the discriminator's features, and minus its logit is the score of class K,
    "generated". The paper adds `FeatureMatching` to the generator's loss.

    Args:
        generator_weight: Lambda; StudioGAN takes 0.05 on CIFAR-10.

    Raises:
        ConfigurationError: If the generator has no classes, or the discriminator has its own.
    """

    reads_labels = True
    classes: nn.Linear

    def __init__(self, generator_weight: float = 0.05) -> None:
        super().__init__()
        if generator_weight <= 0:
            raise ConfigurationError(
                f"MultiHinge: generator_weight={generator_weight} must be positive."
            )
        self.generator_weight = generator_weight

    def attach(self, composition: Composition) -> None:
        """Makes the scores of the classes."""
        self.num_classes = composition.generator.num_classes
        if self.num_classes:
            self.classes = nn.Linear(composition.discriminator.num_features, self.num_classes)

    def check(self, composition: Composition) -> None:
        """Refuses networks without classes, a conditional logit, and packs."""
        if composition.generator.num_classes == 0:
            raise ConfigurationError(
                "MultiHinge tells classes apart and the generator has none: set its num_classes."
            )
        if composition.discriminator.num_classes > 0:
            raise ConfigurationError(
                "MultiHinge has the classes in its own scores, so the discriminator's logit must "
                "not depend on them: set num_classes of the discriminator to 0."
            )
        if composition.discriminator.pack > 1:
            raise ConfigurationError(
                "MultiHinge needs one label for each logit, and a pack has several: leave Packed "
                "out, or take an objective without classes."
            )

    def _outputs(self, logits: Tensor, features: Tensor) -> Tensor:
        """Scores (N, K + 1) of the classes and of "generated"."""
        scores = self.classes(features)
        return torch.cat([scores, -logits[:, None]], dim=1)  # in the wider of both types

    def discriminator_loss(self, batch: ScoredBatch) -> Tensor:
        """Reals belong to their classes, and fakes to the last."""
        real = self._outputs(batch.real_logits, batch.real_features)
        fake = self._outputs(batch.fake_logits, batch.fake_features)
        generated = torch.full_like(batch.labels, self.num_classes)
        return multi_hinge(real, batch.labels).mean() + multi_hinge(fake, generated).mean()

    def generator_loss(self, batch: ScoredBatch) -> Tensor:
        """Fakes should belong to the classes that they were made for."""
        fake = self._outputs(batch.fake_logits, batch.fake_features)
        return self.generator_weight * multi_hinge(fake, batch.labels).mean()
