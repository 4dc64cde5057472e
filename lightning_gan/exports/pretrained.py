"""Models to begin with: trained by recipes of this package, which has their weights."""

import torch

from lightning_gan.checkpoints.pretrained import weights_of
from lightning_gan.gan import GAN, load


def pretrained(name: str, map_location: str | torch.device = "cpu") -> GAN:
    """A trained model that comes with the package.

    Args:
        name: Its recipe, such as ``rpgan_digits``; a wrong one is answered with all that there are.
        map_location: Device to put it on.

    Returns:
        The model in evaluation mode. Its weights are those of the run, rounded to half precision.

    Raises:
        ConfigurationError: If there is none of that name.
        WeightsError: If its file is missing or damaged.

    Example:
        >>> gan = pretrained("rpgan_digits")
        >>> gan.sample(4, seed=0).shape
        torch.Size([4, 1, 28, 28])
    """
    return load(weights_of(name), map_location)
