"""What happens to samples before the discriminator sees them.

Reals and fakes pass through the same law in both players' updates, and gradients flow through it.
"""

from torch import Tensor, nn

from lightning_gan.basics.randomness import RandomStream
from lightning_gan.checkpoints.parts import Part
from lightning_gan.training.schedule import ValueOf


class Augmentation(Part, nn.Module, base=True):
    """What happens to a batch on its way to the discriminator.

    Subclasses define ``forward(samples, random, value_of)``, which keeps shape and type. State
    that adapts lies in buffers: these travel in checkpoints and are equal on all processes.
    """

    reads_signs: bool = False
    """Whether it adapts to the sign of logits, which only some objectives give a meaning."""

    turns: bool = False
    """Whether it turns images, which what tells turns apart cannot live with."""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """Augments samples (N, ...), keeping shape and type."""
        raise NotImplementedError

    def prepared(self, real: Tensor, random: RandomStream) -> Tensor:
        """Reals (N, ...) as they enter updates and validations: unchanged, unless overridden."""
        return real

    def reals(self, real: Tensor, fake: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """What the discriminator is told to be real (N, ...): the reals, unless overridden."""
        return real

    def observe(self, real_logits: Tensor, images: int) -> None:
        """Learns how the discriminator scored the reals of its last update, after that update.

        Args:
            real_logits: Logits (N,) of the reals as the discriminator saw them, on this process.
            images: Reals in the batch over all processes.
        """
