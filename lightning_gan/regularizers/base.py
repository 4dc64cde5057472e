"""What every penalty and constraint promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from lightning_gan.checkpoints.parts import Part
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks.base import Discriminator
from lightning_gan.training.progress import Player
from lightning_gan.training.randomness import Draws
from lightning_gan.training.schedule import Curve, value_at
from lightning_gan.training.step import ScoredBatch

if TYPE_CHECKING:
    from lightning_gan.training.composition import Composition

HOOKS = ("discriminator_term", "generator_term", "constrain", "attach", "move_latents")


class Regularizer(Part, nn.Module):
    """A term added to the loss of either player, a constraint after its step, or a change before.

    A subclass overrides at least one of :meth:`discriminator_term`, :meth:`generator_term`,
    :meth:`constrain`, :meth:`attach` and :meth:`move_latents`. Weights of its own, made in
    :meth:`attach`, learn with the discriminator; state lies in buffers.

    Args:
        weight: Factor of the term; a curve moves it with the images seen.
        every: Interval in the player's own updates; the term is multiplied by it, so that the
            mean gradient stays the same (lazy regularization, Karras et al. 2020, section 3.1).
        generator_weight: Factor of the generator's term where it is another one.

    Raises:
        ConfigurationError: If ``every`` is not positive, or a weight is negative.
    """

    differentiates: tuple[str, ...] = ()
    """Which inputs ("real", "fake") the term takes the logits' gradient by."""

    differentiates_twice: bool = False
    """Whether the player's own gradient goes through a gradient, which 16 bits do not survive."""

    bounds_slope: bool = False
    """Whether it keeps the discriminator's slope bounded, as a Wasserstein critic needs."""

    looks_across: bool = False
    """Whether its term looks at samples of the batch together, of all processes."""

    reads_labels: ClassVar[bool] = False
    """Whether it conditions the discriminator on classes by itself."""

    per_sample: ClassVar[bool] = False
    """Whether it needs features of single samples, which packs have not."""

    images_only: ClassVar[bool] = False
    """Whether it means something only for images."""

    logged: ClassVar[tuple[str, ...]] = ()
    """Names of buffers that belong in the logs."""

    def __init__(
        self,
        weight: float | Curve = 1.0,
        every: int = 1,
        generator_weight: float | Curve | None = None,
    ) -> None:
        super().__init__()
        if all(getattr(type(self), hook) is getattr(Regularizer, hook) for hook in HOOKS):
            raise TypeError(f"{type(self).__name__} must define one of {', '.join(HOOKS)}.")
        if every < 1:
            raise ConfigurationError(f"{type(self).__name__}: every={every} must be at least 1.")
        for name, number in {"weight": weight, "generator_weight": generator_weight}.items():
            if isinstance(number, (int, float)) and number < 0:
                raise ConfigurationError(f"{type(self).__name__}: {name}={number} is negative.")
        self.weight = weight
        self.every = every
        self.generator_weight = weight if generator_weight is None else generator_weight

    def attach(self, composition: Composition) -> None:
        """Makes or changes what depends on the two networks, once, when the model is built."""

    def check(self, composition: Composition) -> None:
        """Refuses, with a ConfigurationError, what it cannot live with."""

    def is_due(self, update: int) -> bool:
        """Whether the term joins the player's update number ``update``."""
        return update % self.every == 0

    def factor(self, images_seen: int, player: Player = "discriminator") -> float:
        """What the bare term is multiplied by, the interval included."""
        weight = self.weight if player == "discriminator" else self.generator_weight
        return value_at(weight, images_seen) * self.every

    def discriminator_term(self, batch: ScoredBatch) -> Tensor | None:
        """The bare term of the discriminator's loss, a scalar; None where there is none."""
        return None

    def generator_term(self, batch: ScoredBatch) -> Tensor | None:
        """The bare term of the generator's loss, a scalar; None where there is none."""
        return None

    def move_latents(self, z: Tensor, logits: Callable[[Tensor], Tensor], draws: Draws) -> Tensor:
        """Moves latents (N, latent_dim) before samples are made of them.

        Args:
            z: Latents as they were drawn.
            logits: From latents to the logits (N,) of their samples.
            draws: Random numbers.
        """
        return z

    def constrain(self, discriminator: Discriminator) -> None:
        """Changes the discriminator in place after its step."""

    def observe(self, player: Player, batch: ScoredBatch, real: Tensor, fake: Tensor) -> None:
        """Moves its state after an update of ``player``.

        Args:
            player: Who has moved.
            batch: What the player looked at, or the last piece of it.
            real: Logits (N,) of the reals; empty after an update of the generator.
            fake: Logits (N,) of the generated samples.
        """

    def touches(self, player: Player) -> bool:
        """Whether it adds a term to the loss of ``player``."""
        hook = f"{player}_term"
        return getattr(type(self), hook) is not getattr(Regularizer, hook)
