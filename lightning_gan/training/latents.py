"""What latents are drawn from: standard normal numbers, or what a prior makes of them."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from lightning_gan.checkpoints.parts import Part
from lightning_gan.errors import ConfigurationError, above, check_range


class Prior(Part, base=True):
    """Makes latents (N, latent_dim) of standard normal numbers; itself it leaves them alone."""

    has_codes: ClassVar[bool] = False
    """Whether latents begin with codes that can be found again."""

    @property
    def min_latent_dim(self) -> int:
        """Entries that a latent must have at least."""
        return 1

    def __call__(self, z: Tensor) -> Tensor:
        """Latents (N, latent_dim) from standard normal numbers (N, latent_dim)."""
        return z


def _uniform(normal: Tensor) -> Tensor:
    return torch.erf(normal / 2**0.5)


class UniformPrior(Prior):
    """Latents uniform in [-1, 1] (Radford et al. 2016, section 4)."""

    def __call__(self, z: Tensor) -> Tensor:
        """The distribution function of each number, on the scale of [-1, 1]."""
        return _uniform(z)


class Codes(NamedTuple):
    """The codes in a batch of latents."""

    categories: list[Tensor]
    """One-hot (N, K) each."""
    continuous: Tensor
    """Numbers (N, C) in [-1, 1]."""


class CodePrior(Prior):
    """Latents that begin with codes, to be found again in the samples (Chen et al. 2016).

    First the categories, each one-hot and uniform, then numbers uniform in [-1, 1], then noise.

    Args:
        categories: Number of values of each categorical code; the paper's MNIST takes one of 10.
        continuous: Number of continuous codes; the paper's MNIST takes 2.

    Raises:
        ConfigurationError: If a category has fewer than 2 values, or there is no code.
    """

    has_codes = True

    def __init__(self, categories: Sequence[int] = (10,), continuous: int = 2) -> None:
        self.categories, self.continuous = tuple(categories), continuous
        if continuous < 0 or min(self.categories, default=2) < 2 or self.min_latent_dim < 1:
            raise ConfigurationError(
                f"CodePrior: categories={list(categories)} must have at least 2 values each, and "
                f"continuous={continuous} not be negative; one of both must be there."
            )

    @property
    def min_latent_dim(self) -> int:
        """Entries of the codes."""
        return sum(self.categories) + self.continuous

    def __call__(self, z: Tensor) -> Tensor:
        """The largest of some normal numbers is each of them equally often.

        Raises:
            ConfigurationError: If there is no room for the codes in them.
        """
        if z.ndim != 2 or z.shape[1] < self.min_latent_dim:
            raise ConfigurationError(
                f"CodePrior makes codes of normal numbers (N, latent_dim), {self.min_latent_dim} "
                f"or more in a row, and was given {tuple(z.shape)}: let gan.sample(N) draw them."
            )
        *chances, continuous, noise = torch.split(z, self._sizes(z), dim=1)
        # As one_hot, which reads the classes to see whether they are in range.
        largest = [chance.argmax(dim=1, keepdim=True) for chance in chances]
        chosen = [
            torch.zeros_like(chance).scatter_(1, place, 1.0)
            for chance, place in zip(chances, largest, strict=True)
        ]
        return torch.cat([*chosen, _uniform(continuous), noise], dim=1)

    def codes(self, z: Tensor) -> Codes:
        """The codes in latents that this prior has made."""
        *categories, continuous, _ = torch.split(z, self._sizes(z), dim=1)
        return Codes(categories, continuous)

    def _sizes(self, z: Tensor) -> list[int]:
        return [*self.categories, self.continuous, z.shape[1] - self.min_latent_dim]


def normal_latents(
    count: int, latent_dim: int, random: torch.Generator, truncation: float | None = None
) -> Tensor:
    """Standard normal latents (count, latent_dim), drawn on the CPU.

    Args:
        count: Number of latents.
        latent_dim: Length of a latent.
        random: Where the numbers come from.
        truncation: Largest absolute value of an entry; the distribution is cut off there and the
            rest kept in proportion (Brock et al. 2019, section 3.1). None for no cut.

    Raises:
        ConfigurationError: If the truncation is not positive.
    """
    z = torch.empty(count, latent_dim)
    if truncation is None:
        return z.normal_(generator=random)
    check_range("normal_latents", above(0), truncation=truncation)
    edge = torch.erf(torch.tensor(truncation / 2**0.5))
    cut = torch.erfinv(z.uniform_(-1, 1, generator=random) * edge) * 2**0.5
    return cut.clamp(-truncation, truncation)  # the error function rounds to 1 from 5.5 on
