"""A hinge over the classes of the data and one more, "generated"."""

import torch
from torch import Tensor, nn

from lightning_gan.errors import above, check_range
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.objectives.base import Objective
from lightning_gan.training.step import Step


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
    needs_features = True
    per_sample = True
    joins_features = True
    classes: nn.Linear

    def __init__(self, generator_weight: float = 0.05) -> None:
        super().__init__()
        check_range(self, above(0), generator_weight=generator_weight)
        self.generator_weight = generator_weight

    def attach(self, generator: Generator, discriminator: Discriminator) -> None:
        """Makes the scores of the classes."""
        self.num_classes = generator.num_classes
        if self.num_classes:
            self.classes = nn.Linear(discriminator.num_features, self.num_classes)

    def _outputs(self, logits: Tensor, features: Tensor) -> Tensor:
        """Scores (N, K + 1) of the classes and of "generated"."""
        scores = self.classes(features)
        return torch.cat([scores, -logits[:, None]], dim=1)  # in the wider of both types

    def discriminator_loss(self, step: Step) -> Tensor:
        """Reals belong to their classes, and fakes to the last."""
        real = self._outputs(step.real_logits, step.real_features)
        fake = self._outputs(step.fake_logits, step.fake_features)
        generated = torch.full_like(step.labels, self.num_classes)
        return multi_hinge(real, step.labels).mean() + multi_hinge(fake, generated).mean()

    def generator_loss(self, step: Step) -> Tensor:
        """Fakes should belong to the classes that they were made for."""
        fake = self._outputs(step.fake_logits, step.fake_features)
        return self.generator_weight * multi_hinge(fake, step.labels).mean()
