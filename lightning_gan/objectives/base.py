r"""What the two players minimise.

Notation: :math:`r = D(x)` and :math:`f = D(G(z))` are logits, real is high, and
:math:`\mathrm{sp}(t) = \log(1 + e^t)` is the softplus.
"""

from typing import ClassVar

from torch import Tensor, nn

from lightning_gan.checkpoints.parts import Part
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.training.step import Kind, Step


class Objective(Part, nn.Module, base=True):
    """A pair of losses, one for each player.

    Subclasses define :meth:`discriminator_loss` and :meth:`generator_loss`, and
    :meth:`probability` only where the logits stand for one. Weights of their own, made in
    :meth:`attach`, learn with the discriminator; state lies in buffers. Class attributes say what
    a loss is like; what may live with whom follows from them (``training/composition.py``).
    """

    discriminator_reads: tuple[Kind, ...] = ("real", "fake")
    """Whose logits or features the discriminator's loss reads, in the order of the passes."""

    generator_reads: tuple[Kind, ...] = ("fake",)
    """Whose the generator's loss reads; with "real" it is relativistic."""

    paired: ClassVar[bool] = False
    """Whether a loss looks at real i and fake i together."""

    looks_across: bool = False
    """Whether a loss looks at samples of the batch together, of all processes."""

    needs_lipschitz: bool = False
    """Whether the losses mean something only for a discriminator of bounded slope."""

    unbounded: bool = False
    """Whether the generator's loss is minus the logit, which falls without end and as fast
    everywhere, so that the slope should be bounded."""

    reads_labels: ClassVar[bool] = False
    """Whether it conditions the discriminator on classes by itself."""

    needs_features: ClassVar[bool] = False
    """Whether it has weights on the discriminator's features."""

    wants_reconstruction: ClassVar[bool] = False
    """Whether the discriminator must be an autoencoder."""

    per_sample: ClassVar[bool] = False
    """Whether it needs logits of single samples, which packs have not."""

    compares_logits: ClassVar[bool] = False
    """Whether it takes each logit for a sample's own, and not for a square's."""

    joins_features: ClassVar[bool] = False
    """Whether it puts the logit of a sample beside its features, so that there must be one."""

    foresees: ClassVar[bool] = False
    """Whether it differentiates through the discriminator's next steps."""

    count_moves: bool = False
    """Whether the number of samples that a loss takes moves with the images seen."""

    logged: ClassVar[tuple[str, ...]] = ()
    """Names of buffers that belong in the logs."""

    def __init__(self) -> None:
        super().__init__()

    @property
    def has_sign(self) -> bool:
        """Whether a positive logit means "real", which adaptive augmentation relies on."""
        return False

    @property
    def inner(self) -> "Objective | None":
        """The objective that this one is around, if any."""
        return None

    @property
    def relative(self) -> bool:
        """Whether the generator's loss reads the logits of reals too."""
        return "real" in self.generator_reads

    def attach(self, generator: Generator, discriminator: Discriminator) -> None:
        """Makes what depends on the two networks, once, when the model is built.

        Raises:
            ConfigurationError: If it cannot live with them, with the reason and the mend.
        """

    def discriminator_loss(self, step: Step) -> Tensor:
        """The discriminator's loss, a scalar to minimise."""
        raise NotImplementedError

    def generator_loss(self, step: Step) -> Tensor:
        """The generator's loss, a scalar to minimise."""
        raise NotImplementedError

    def probability(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensor] | None:
        """D(x) and D(G(z)) as probabilities (N,) each, or None where logits mean none."""
        return None

    def observe(self, real_logits: Tensor, fake_logits: Tensor) -> None:
        """Moves its state after an update of the discriminator, from that update's logits."""
