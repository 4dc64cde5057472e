"""Adaptive pseudo augmentation: some reals are replaced by generated samples."""

import torch
from torch import Tensor

from lightning_gan.augment.adaptive import SignAdapted
from lightning_gan.augment.operations import OperationSampler
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.training.schedule import ValueOf, is_positive


class AdaptivePseudo(SignAdapted):
    """Shows the discriminator generated samples as reals, as often as it is too sure of reals.

    With probability p a real is replaced by the generated sample at the same place in the batch,
    without its gradient (APA, Jiang et al. 2021, section 3). p is adapted as in
    :class:`AdaptiveAugmentation`, from the logits of what was shown as real. Otherwise samples are
    left alone, be they images or points. The authors' code shows the generated samples of the
    generator's last update, and this those of the discriminator's own.

    Args:
        target: Mean sign of the reals' logits that is aimed at, in (-1, 1).
        kimg: Thousands of images in which p goes from 0 to 1, if it always goes up.
        every: Updates of the discriminator between two moves of p.
        start: The value that p starts from.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """Leaves the samples (N, ...) as they are."""
        return samples

    def reals(self, real: Tensor, fake: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """The reals (N, ...), some replaced by the generated samples of the same places."""
        p = self.probability(value_of)
        if not is_positive(p):
            return real
        sampler = OperationSampler(random, p, like=real)
        replaced = sampler.chosen().view(-1, *[1] * (real.ndim - 1))
        return torch.where(replaced, fake.detach().to(real.dtype), real)
