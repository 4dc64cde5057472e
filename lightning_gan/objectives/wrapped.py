"""Objectives around another one: which fakes count, and which discriminator they face."""

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import ConfigurationError, above, at_least, at_most, check_range
from lightning_gan.errors import whole as whole_number
from lightning_gan.networks.base import Discriminator, DiscriminatorOutput, Generator
from lightning_gan.objectives.base import Objective
from lightning_gan.training.optimizers import step_after
from lightning_gan.training.schedule import Curve
from lightning_gan.training.step import Step


class _Around(Objective):
    """Hands everything on to another objective; subclasses change the generator's loss.

    Args:
        objective: The objective to change.
    """

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.objective = objective
        self.needs_lipschitz = objective.needs_lipschitz
        self.unbounded = objective.unbounded
        self.discriminator_reads = objective.discriminator_reads
        self.generator_reads = objective.generator_reads

    @property
    def inner(self) -> Objective:
        """The objective inside."""
        return self.objective

    @property
    def relative(self) -> bool:
        """As the objective inside."""
        return self.objective.relative

    @property
    def has_sign(self) -> bool:
        """As the objective inside."""
        return self.objective.has_sign

    def attach(self, generator: Generator, discriminator: Discriminator) -> None:
        """Lets the objective inside make what it needs."""
        self.objective.attach(generator, discriminator)

    def discriminator_loss(self, step: Step) -> Tensor:
        """As the objective inside."""
        return self.objective.discriminator_loss(step)

    def probability(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor] | None:
        """As the objective inside."""
        return self.objective.probability(real_logits, fake_logits)

    def observe(self, real_logits: Tensor, fake_logits: Tensor) -> None:
        """As the objective inside."""
        self.objective.observe(real_logits, fake_logits)


class TopK(_Around):
    r"""Lets the generator learn only from its best samples (Sinha et al. 2020).

    The generator's loss is the mean over the k samples with the largest logits, of all processes.
    The paper lets k fall from the whole batch to half of it by 1 % an epoch (CIFAR-10):
    ``share: {class_path: DecayCurve, init_args: {factor: 0.99, images: 50000, end: 0.5}}``.

    Args:
        objective: The objective whose generator's loss is meant.
        share: k as a share of the batch, in (0, 1]; a curve moves it with the images seen.

    Raises:
        ConfigurationError: If the share is out of range, or the loss is not of single samples.
    """

    compares_logits = True

    def __init__(self, objective: Objective, share: float | Curve = 0.5) -> None:
        super().__init__(objective)
        check_range(self, above(0), at_most(1), share=share)
        self.share = share
        self.looks_across = isinstance(share, Curve) or share < 1
        self.count_moves = isinstance(share, Curve)

    def generator_loss(self, step: Step) -> Tensor:
        """The loss of the k best, as a mean over them."""
        logits = step.fake_logits
        everywhere = step.gather(logits.detach())
        share = min(float(step.value_of(self.share)), 1.0)
        k = max(round(share * len(everywhere)), 1)
        chosen = everywhere.argsort(descending=True, stable=True)[:k]
        if len(everywhere) == len(logits):
            best = logits[chosen.sort().values]
        else:  # of how many this process has, only the numbers tell
            best = logits[step.own_rows(torch.zeros_like(everywhere).index_fill(0, chosen, 1) > 0)]
        if not len(best):
            return logits.sum() * 0
        alone = replace(step, fake_output=DiscriminatorOutput(best, None))
        # The mean over processes of (W / k) sums is the sum over k.
        processes = len(everywhere) / len(logits)
        return self.objective.generator_loss(alone) * (len(best) * processes / k)


class Unrolled(_Around):
    r"""The generator faces the discriminator as it will be some steps from now (Metz et al. 2017).

    .. math:: \theta_D^{k+1} = \theta_D^k + \eta^k\,\partial f(\theta_G, \theta_D^k)/\partial
              \theta_D^k, \quad \theta_G \text{ moves by } \partial f(\theta_G, \theta_D^K(\theta_G,
              \theta_D)) / \partial \theta_G

    (Eq. 7 to 11). The steps are those of the discriminator's own optimizer (Adam from its present
    moments, or SGD) on the objective alone, without penalties and without clipped gradients, and
    the gradient passes through all of them; the discriminator itself moves once, by its ordinary
    step. As in the authors' code the generator minimises minus the whole loss
    of the discriminator, with the term of the reals, which depends on it by the future weights.

    Args:
        objective: The objective that both players have without it; its discriminator's loss counts.
        steps: K, steps ahead; the paper takes 5 to 10, and 0 looks at the present.
        first_order: Whether the gradient stops at the future weights, a surrogate without the
            second term of Eq. 12.
        whole: Whether the generator minimises minus the discriminator's whole loss; otherwise the
            objective's own generator loss.

    Raises:
        ConfigurationError: If ``steps`` is negative; with augmentation, weight clipping, or
            an optimizer that it cannot foresee.
    """

    looks_across = True
    foresees = True

    def __init__(
        self, objective: Objective, steps: int = 5, first_order: bool = False, whole: bool = True
    ) -> None:
        super().__init__(objective)
        check_range(self, at_least(0), steps=steps)
        steps = whole_number(self, "steps", steps)
        self.steps, self.first_order, self.whole = steps, first_order, whole
        # The present discriminator is asked last, after those that are foreseen.
        if steps:
            self.generator_reads = ()
        elif whole:
            self.generator_reads = objective.discriminator_reads

    def generator_loss(self, step: Step) -> Tensor:
        """The loss at the future discriminator."""
        future = self._future(step) if self.steps else step
        if self.whole:
            reads = self.objective.discriminator_reads
            return -self.objective.discriminator_loss(future.judged(*reads))
        return self.objective.generator_loss(future.judged(*self.objective.generator_reads))

    def _future(self, step: Step) -> Step:
        """The same step before the discriminator as it will be."""
        optimizer = step.discriminator_optimizer
        if optimizer is None:
            raise ConfigurationError(
                "Unrolled foresees the steps of the discriminator's optimizer, which this step "
                "does not have: pass it to Game.steps."
            )
        present: dict[str, Tensor] = dict(step.discriminator.named_parameters())
        weights = {name: weight.detach().requires_grad_() for name, weight in present.items()}
        advance = step_after(optimizer, present)
        for _ in range(self.steps):
            now = with_weights(step, weights).judged(*self.objective.discriminator_reads)
            loss = self.objective.discriminator_loss(now)
            gradients = torch.autograd.grad(
                loss, list(weights.values()), create_graph=not self.first_order, allow_unused=True
            )
            weights = advance(
                weights,
                [
                    torch.zeros_like(weight) if gradient is None else step.mean(gradient)
                    for weight, gradient in zip(weights.values(), gradients, strict=True)
                ],
            )
        return with_weights(step, weights)


class _Output(nn.Module):
    """A discriminator whose forward pass gives features too, for ``functional_call``."""

    def __init__(self, network: Discriminator) -> None:
        super().__init__()
        self.network = network

    def forward(self, samples: Tensor, labels: Tensor) -> DiscriminatorOutput:
        return self.network.output(samples, labels)


def with_weights(step: Step, weights: dict[str, Tensor]) -> Step:
    """The same step before a discriminator with other weights, by name; its buffers rest."""
    # Copies, or this look would move the statistics of the discriminator that there is.
    buffers = {name: b.detach().clone() for name, b in step.discriminator.named_buffers()}
    state = {f"network.{name}": value for name, value in (weights | buffers).items()}
    network = _Output(step.discriminator)

    def discriminate(
        samples: Tensor, labels: Tensor, random: RandomStream | None = None
    ) -> DiscriminatorOutput:
        return functional_call(network, state, (samples, labels))

    return replace(step, discriminate=discriminate, real_output=None, fake_output=None)
