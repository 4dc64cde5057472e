"""Noise on what the discriminator sees."""

from torch import Tensor

from lightning_gan.augment.base import Augmentation
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import at_least, check_range
from lightning_gan.training.schedule import Curve, ValueOf


class InstanceNoise(Augmentation):
    """Gaussian noise on whatever the discriminator sees (Sønderby et al. 2017, section 3.2).

    It makes the supports of data and generator overlap. Usually annealed to zero:
    ``sigma: {class_path: LinearCurve, init_args: {start: 0.1, end: 0, images: 100000}}``.

    Args:
        sigma: Standard deviation, on the scale of images in [-1, 1].

    Raises:
        ConfigurationError: If sigma is negative.
    """

    def __init__(self, sigma: float | Curve = 0.1) -> None:
        super().__init__()
        check_range(self, at_least(0), sigma=sigma)
        self.sigma = sigma

    def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """Adds noise of the deviation that is due."""
        sigma = value_of(self.sigma)
        return samples + sigma * random.normal(*samples.shape[1:]) if sigma > 0 else samples
