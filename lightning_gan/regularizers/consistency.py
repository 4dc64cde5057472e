"""Small changes of a sample or a latent should change the logit little."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import above, at_least, at_most, check_range
from lightning_gan.regularizers.base import LatentMove, Penalty
from lightning_gan.training.schedule import Curve
from lightning_gan.training.step import Step


def flipped_and_shifted(images: Tensor, random: RandomStream, share: float = 1 / 8) -> Tensor:
    """Images mirrored with probability 1/2 and moved by up to a share of their size, reflected.

    Args:
        images: Images (N, C, H, W).
        random: Random numbers, drawn for each image.
        share: Largest shift as a share of height and width.
    """
    height, width = images.shape[2:]
    mirrored = random.uniform(1, 1, 1) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    down, right = int(height * share), int(width * share)
    padded = F.pad(images, (right, right, down, down), mode="reflect")
    # A number just below one may be rounded to one.
    shift = random.uniform(2)
    shift_down = (shift[:, :1] * (2 * down + 1)).long().clamp(max=2 * down)
    shift_right = (shift[:, 1:] * (2 * right + 1)).long().clamp(max=2 * right)
    rows = shift_down + torch.arange(height, device=images.device)
    columns = shift_right + torch.arange(width, device=images.device)
    place = torch.arange(len(images), device=images.device)[:, None, None]
    moved: Tensor = padded.permute(0, 2, 3, 1)[place, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


class Consistency(Penalty):
    r"""The logit should not change when an image is mirrored and shifted (CR, bCR).

    .. math:: \mathbb{E}\,(D(x) - D(T(x)))^2 \;\big[\, + \mathbb{E}\,(D(\tilde x) -
              D(T(\tilde x)))^2\,\big]

    with T a mirror image at random and a shift of up to an eighth of the size (Zhang et al. 2020,
    Eq. 3; with fakes, Zhao et al. 2021, Algorithm 1).

    Args:
        weight: Factor; the papers take 10.
        fakes: Whether generated images count too (bCR).
        every: Interval in the discriminator's updates; the term is multiplied by it.

    Raises:
        ConfigurationError: If the data are points.
    """

    images_only = True
    compares_logits = True

    def __init__(self, weight: float | Curve = 10.0, fakes: bool = False, every: int = 1) -> None:
        super().__init__(weight, every)
        self.fakes = fakes

    def discriminator_term(self, step: Step) -> Tensor:
        """The mean squared change of the logit."""
        real = step.logits(flipped_and_shifted(step.real.detach(), step.random))
        change = (step.real_logits - real).square().mean()
        if self.fakes:
            fake = step.logits(flipped_and_shifted(step.fake.detach(), step.random))
            change = change + (step.fake_logits - fake).square().mean()
        return change


class LatentConsistency(Penalty):
    r"""Near latents should score alike and look different (zCR).

    .. math:: L_D \mathrel{+}= \lambda_D\,\mathbb{E}\,(D(G(z)) - D(G(z + \delta)))^2, \quad
              L_G \mathrel{-}= \lambda_G\,\mathbb{E}\,\lVert G(z) - G(z + \delta)\rVert^2,
              \quad \delta \sim \mathcal N(0, \sigma^2)

    (Zhao et al. 2021, Algorithm 2); with `Consistency(fakes=True)` it is ICR. The generator's term
    is the mean over all numbers of the samples, and has no lower bound: keep its factor small.

    Args:
        weight: Lambda_D.
        generator_weight: Lambda_G.
        sigma: Standard deviation of the change.
        every: Interval in each player's updates; the term is multiplied by it.

    Raises:
        ConfigurationError: If sigma is negative.
    """

    compares_logits = True

    def __init__(
        self,
        weight: float | Curve = 20.0,
        generator_weight: float | Curve = 0.5,
        sigma: float = 0.05,
        every: int = 1,
    ) -> None:
        super().__init__(weight, every, generator_weight)
        check_range(self, at_least(0), sigma=sigma)
        self.sigma = sigma

    def _beside(self, step: Step) -> Tensor:
        delta = self.sigma * step.random.normal(step.z.shape[1])
        return step.generate(step.z + delta)

    def discriminator_term(self, step: Step) -> Tensor:
        """The mean squared change of the logit."""
        return (step.fake_logits - step.logits(self._beside(step))).square().mean()

    def generator_term(self, step: Step) -> Tensor:
        """Minus the mean squared change of the sample."""
        return -(step.fake - self._beside(step)).square().mean()


class LatentOptimisation(LatentMove):
    r"""Moves every latent towards a higher logit before it is used (LOGAN).

    .. math:: z' = \mathrm{clip}\Big(z + m\,\frac{\alpha g}{\beta + \lVert g\rVert^2}, -1, 1\Big),
              \quad g = \frac{\partial D(G(z))}{\partial z}

    for a share of the latents drawn at random; the rest stays (Wu et al. 2019, Eq. 10, natural
    gradient descent). Both players' losses use z' and differentiate through g, and both pay
    :math:`\lambda\,\mathbb{E}\lVert z' - z\rVert^2`. Take `UniformPrior`, so that latents lie in
    [-1, 1]. Batch norm in the generator makes g depend on the whole batch.

    Args:
        weight: Lambda, the price of the way.
        step: Alpha.
        damping: Beta.
        share: Share of the latents that move.
        clip: Largest absolute value of an entry of z'; None for no limit.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    per_sample = True
    compares_logits = True

    def __init__(
        self,
        weight: float | Curve = 0.1,
        step: float = 0.9,
        damping: float = 0.1,
        share: float = 0.8,
        clip: float | None = 1.0,
    ) -> None:
        super().__init__(weight)
        check_range(self, above(0), step=step, damping=damping, clip=clip)
        check_range(self, at_least(0), at_most(1), share=share)
        self.step, self.damping, self.share, self.clip = step, damping, share, clip

    def move_latents(
        self, z: Tensor, logits: Callable[[Tensor], Tensor], random: RandomStream
    ) -> Tensor:
        """The moved latents, with gradients to both players."""
        z = z.detach().requires_grad_()
        with torch.autocast(z.device.type, enabled=False):  # both players differentiate through it
            (gradient,) = torch.autograd.grad(logits(z).sum(), z, create_graph=True)
        moved = random.uniform(1) < self.share
        way = self.step * gradient / (self.damping + gradient.square().sum(1, keepdim=True))
        z = z + torch.where(moved, way, torch.zeros_like(way))
        return z if self.clip is None else z.clamp(-self.clip, self.clip)

    def discriminator_term(self, step: Step) -> Tensor:
        """The mean squared way of the latents, for either player."""
        return (step.z - step.drawn_z).square().sum(dim=1).mean()

    generator_term = discriminator_term
