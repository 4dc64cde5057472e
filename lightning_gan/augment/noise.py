"""Noise on what the discriminator sees, and on reals alone."""

from torch import Tensor

from lightning_gan.augment.base import Augmentation
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import above, at_least, check_range
from lightning_gan.training.schedule import Curve, ValueOf, is_positive


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
        return (
            samples + sigma * random.normal(*samples.shape[1:]) if is_positive(sigma) else samples
        )


class Dequantization(Augmentation):
    r"""Spreads the values of reals evenly between neighbours, and leaves fakes alone.

    .. math:: \tilde x = 2\,\frac{v + u}{n} - 1, \quad u \sim \mathcal U[0, 1)

    for a real of whole values v = 0 .. n - 1, which fills [-1, 1) without gaps (Theis et al. 2016,
    section 3.1, for images as values in 0 .. 255). The codes of WGAN-GP and SNGAN draw their reals
    so. It acts in all updates and on held-out reals, but not where samples are measured.

    Args:
        levels: n, the number of values that a pixel can have.

    Raises:
        ConfigurationError: If there are fewer than two.
    """

    def __init__(self, levels: int = 256) -> None:
        super().__init__()
        check_range(self, above(1), levels=levels)
        self.levels = levels

    def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """Leaves the samples (N, ...) as they are."""
        return samples

    def prepared(self, real: Tensor, random: RandomStream) -> Tensor:
        """Reals (N, ...) of -1, -1 + 2 / (n - 1), ..., 1 with their noise, in [-1, 1)."""
        noise = random.uniform(*real.shape[1:]).to(real.dtype)
        return ((real + 1) * ((self.levels - 1) / 2) + noise) * (2 / self.levels) - 1
