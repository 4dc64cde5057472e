"""The kinds of regularizers: penalties, auxiliary tasks, constraints, and moves of latents.

One list of a model holds them all. They differ by the hooks that the game calls: a penalty adds a
term to a loss, an auxiliary task has weights of its own as well, a constraint changes a network and
adds nothing, and a move of latents acts before samples are made.
"""

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from lightning_gan.basics.randomness import RandomStream
from lightning_gan.checkpoints.parts import Part
from lightning_gan.errors import at_least, check_range, whole
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.training.latents import Prior
from lightning_gan.training.schedule import Curve, PlayerName
from lightning_gan.training.step import Kind, Step


class Regularizer(Part, nn.Module, base=True):
    """Whatever acts beside the objective.

    Derive from :class:`Penalty`, :class:`AuxiliaryTask`, :class:`Constraint` or
    :class:`LatentMove`. Class attributes say what it is like; what may live with whom follows from
    them (``training/composition.py``). State that adapts lies in buffers.
    """

    looks_across: bool = False
    """Whether its term looks at samples of the batch together, of all processes."""

    bounds_lipschitz: bool = False
    """Whether it bounds the slope of the discriminator, as a Wasserstein critic needs."""

    compares_logits: ClassVar[bool] = False
    """Whether it takes each logit for a sample's own, and not for a square's."""

    per_sample: ClassVar[bool] = False
    """Whether it needs logits or features of single samples, which packs have not."""

    images_only: ClassVar[bool] = False
    """Whether it means something only for images."""

    logged: ClassVar[tuple[str, ...]] = ()
    """Names of buffers that belong in the logs."""

    def __init__(self) -> None:
        super().__init__()
        # The game calls the hooks of these kinds only, and others would do nothing without a word.
        if not isinstance(self, (Penalty, Constraint)):
            raise TypeError(
                f"{type(self).__name__} must derive from Penalty, AuxiliaryTask, Constraint or "
                "LatentMove."
            )

    def attach(self, generator: Generator, discriminator: Discriminator, prior: Prior) -> None:
        """Makes or changes what depends on the networks, once, when the model is built.

        Raises:
            ConfigurationError: If it cannot live with them, with the reason and the mend.
        """

    def observe(self, step: Step, real_logits: Tensor, fake_logits: Tensor) -> None:
        """Moves its state after an update.

        Args:
            step: What the player saw, or the last piece of it.
            real_logits: Logits (N,) of the reals; empty after an update of the generator.
            fake_logits: Logits (N,) of the generated samples.
        """


class Penalty(Regularizer, base=True):
    """A term added to the loss of either player; define at least one of the two.

    Args:
        weight: Factor of the term; a curve moves it with the images seen.
        every: Interval in the player's own updates; the term is multiplied by it, so that the
            mean gradient stays the same (lazy regularization, Karras et al. 2020, section 3.1).
        generator_weight: Factor of the generator's term where it is another one.

    Raises:
        ConfigurationError: If ``every`` is not positive, or a weight is negative.
    """

    differentiates: tuple[Kind, ...] = ()
    """By which inputs the term takes the logits' gradient."""

    differentiates_twice: bool = False
    """Whether the player's own gradient goes through a gradient, which 16 bits do not survive."""

    penalises_slope: ClassVar[bool] = False
    """Whether it is about each sample's own slope, which batch norm mixes with the others'."""

    flattens: ClassVar[Kind | None] = None
    """Where it pulls the slope to zero, as R1 and R2 do."""

    anchors_logits: ClassVar[bool] = False
    """Whether it holds logits in their places, which some objectives give no meaning."""

    needs_styles: ClassVar[bool] = False
    """Whether the generator must have styles."""

    needs_decoders: ClassVar[bool] = False
    """Whether the discriminator must have decoders."""

    generator_reads: tuple[Kind, ...] = ("fake",)
    """Whose logits or features the generator's term reads; the discriminator's may read both."""

    def __init__(
        self,
        weight: float | Curve = 1.0,
        every: int = 1,
        generator_weight: float | Curve | None = None,
    ) -> None:
        super().__init__()
        if not (self.has_term("discriminator") or self.has_term("generator")):
            raise TypeError(
                f"{type(self).__name__} must define discriminator_term or generator_term."
            )
        check_range(self, at_least(1), every=every)
        check_range(self, at_least(0), weight=weight, generator_weight=generator_weight)
        self.weight = weight
        self.every = whole(self, "every", every)
        self.generator_weight = weight if generator_weight is None else generator_weight

    def acts(self, player: PlayerName) -> bool:
        """Whether it has a term in a player's loss whose weight is not always 0."""
        weight = self.weight if player == "discriminator" else self.generator_weight
        return self.has_term(player) and (callable(weight) or weight != 0)

    def discriminator_term(self, step: Step) -> Tensor | None:
        """The bare term of the discriminator's loss, a scalar; None where there is none."""
        return None

    def generator_term(self, step: Step) -> Tensor | None:
        """The bare term of the generator's loss, a scalar; None where there is none."""
        return None

    @classmethod
    def has_term(cls, player: str) -> bool:
        """Whether it adds a term to the loss of that player."""
        if player == "discriminator":
            return cls.discriminator_term is not Penalty.discriminator_term
        return cls.generator_term is not Penalty.generator_term


class AuxiliaryTask(Penalty, base=True):
    """A task on the discriminator's features, whose weights learn with the discriminator.

    The generator learns through them while they are frozen. Define :meth:`attach`, which makes
    them, and the terms.

    Args:
        weight: Factor of the discriminator's term.
        generator_weight: Factor of the generator's term.
        every: Interval in each player's updates; the term is multiplied by it.
    """

    per_sample = True

    needs_classes: ClassVar[bool] = False
    """Whether it conditions the discriminator on classes, so that the generator must have some."""

    needs_codes: ClassVar[bool] = False
    """Whether the prior must have codes."""

    needs_square: ClassVar[bool] = False
    """Whether images must be square."""

    def __init__(
        self,
        weight: float | Curve = 1.0,
        generator_weight: float | Curve | None = None,
        every: int = 1,
    ) -> None:
        super().__init__(weight, every, generator_weight)


class Constraint(Regularizer, base=True):
    """A change of a network: when the model is built, after each of the discriminator's steps."""

    bounds_weights: ClassVar[bool] = False
    """Whether it limits weights, which spectral normalisation would rescale."""

    def __init__(self) -> None:
        super().__init__()
        if not (self.acts_on_steps() or type(self).attach is not Regularizer.attach):
            raise TypeError(f"{type(self).__name__} must define attach or constrain.")

    def constrain(self, discriminator: Discriminator) -> None:
        """Changes the discriminator in place after its step."""

    @classmethod
    def acts_on_steps(cls) -> bool:
        """Whether it does so, where no gradient passes."""
        return cls.constrain is not Constraint.constrain


class LatentMove(Penalty, base=True):
    """Moves latents before samples are made of them, at a price that both players may pay."""

    differentiates_twice = True

    def move_latents(
        self, z: Tensor, logits: Callable[[Tensor], Tensor], random: RandomStream
    ) -> Tensor:
        """The moved latents (N, latent_dim).

        Args:
            z: Latents as they were drawn.
            logits: From latents to the logits (N,) of their samples.
            random: Random numbers.
        """
        raise NotImplementedError
