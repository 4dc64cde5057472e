"""Several augmentations, one after another."""

from torch import Tensor, nn

from lightning_gan.augment.base import Augmentation
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import ConfigurationError
from lightning_gan.training.schedule import ValueOf


class Augmentations(Augmentation):
    """Applies augmentations in their order.

    Args:
        parts: The augmentations, the first one first.

    Raises:
        ConfigurationError: If two of them adapt to the signs of logits: each would answer for what
            the other one does.
    """

    def __init__(self, parts: list[Augmentation]) -> None:
        super().__init__()
        adaptive = [type(part).__name__ for part in parts if part.reads_signs]
        if len(adaptive) > 1:
            raise ConfigurationError(
                f"Augmentations: {' and '.join(adaptive)} adapt to the same logits, so that each "
                "answers for the other: keep one, or give AdaptiveAugmentation a schedule."
            )
        self.parts = nn.ModuleList(parts)
        self.reads_signs = bool(adaptive)
        self.turns = any(part.turns for part in parts)

    def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """Augments samples (N, ...) by every part, keeping shape and type."""
        for part in self.parts:
            samples = part(samples, random, value_of)
        return samples

    def prepared(self, real: Tensor, random: RandomStream) -> Tensor:
        """What every part, in turn, makes of the reals (N, ...) of any update."""
        for part in self._each():
            real = part.prepared(real, random)
        return real

    def reals(self, real: Tensor, fake: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """What every part, in turn, makes of the reals (N, ...)."""
        for part in self._each():
            real = part.reals(real, fake, random, value_of)
        return real

    def observe(self, real_logits: Tensor, images: int) -> None:
        """Lets every part learn how the reals were scored (N,)."""
        for part in self._each():
            part.observe(real_logits, images)

    def _each(self) -> list[Augmentation]:
        return [part for part in self.parts if isinstance(part, Augmentation)]
