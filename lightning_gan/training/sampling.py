"""Samples by seed and number: sample i of a seed is the same whatever else is drawn."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from numbers import Real

import torch
from torch import Tensor, nn

from lightning_gan.basics.plain import Plain
from lightning_gan.basics.randomness import Seeds, Shard, block_generator
from lightning_gan.basics.words import nearest
from lightning_gan.errors import ConfigurationError, above, below, check_range, required, whole
from lightning_gan.networks.base import Generator
from lightning_gan.training.latents import Prior, normal_latents

BLOCK = 250
"""Samples whose random numbers are drawn at a time, always all of them."""
SHOWN = 10
"""Names of classes that an error lists."""

Label = float | str
"""A class by its number, or by its name in the data that the generator was trained on."""
Labels = Tensor | Sequence[Label] | Label | None
"""Class indices (N,), classes one by one, one class for all samples; None to draw them."""


@dataclass(frozen=True)
class Sampling:
    """How samples are drawn from a generator.

    Latents, classes and the noise inside layers are drawn in blocks, each a function of the seed
    and of the block's number. How many samples are computed at a time changes none of them.

    Args:
        seed: Seed of latents, classes and noise.
        truncation: Largest absolute value of a latent's entries, which are then drawn from the
            normal distribution cut off there (Brock et al. 2019, section 3.1); None for no cut.
        psi: What is left of a style's distance from the average style, for generators with styles
            (Karras et al. 2019, appendix B); None for all of it.
        class_counts: Samples of each class in the data by whose shares classes are drawn; None to
            draw each as often as any other.

    Raises:
        ConfigurationError: If the truncation is not positive, a number is not finite, or the seed
            not whole.
    """

    seed: int = 0
    truncation: float | None = None
    psi: float | None = None
    class_counts: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", required("sample", "seed", self.seed))
        check_range("sample", above(0), below(inf), truncation=self.truncation)
        check_range("sample", above(-inf), below(inf), psi=self.psi)

    @torch.no_grad()
    def generate(
        self,
        network: Generator,
        prior: Prior,
        block: int,
        chosen: slice = slice(None),
        labels: Tensor | None = None,
    ) -> Tensor:
        """Some samples of a block, made in evaluation mode.

        Args:
            network: The generator.
            prior: What makes its latents of normal numbers.
            block: Number of the block, from 0.
            chosen: Which of its samples.
            labels: Their class indices; those of the seed where None.

        Raises:
            ConfigurationError: If ``psi`` is given and the generator has no styles.
        """
        random = block_generator(self.seed, block)
        z = normal_latents(BLOCK, network.latent_dim, random, self.truncation)[chosen]
        # After the latents, so that who asks for one class gets the same latents.
        drawn = self._classes(network.num_classes, random)[chosen]
        labels = drawn if labels is None else labels
        return self._images(network, prior, z, labels, block, chosen)

    def _classes(self, num_classes: int, random: torch.Generator) -> Tensor:
        """The classes of a block, class indices (BLOCK,)."""
        if self.class_counts is None:
            return torch.randint(max(num_classes, 1), (BLOCK,), generator=random)
        ends = torch.tensor(self.class_counts).cumsum(0)
        drawn = torch.rand(BLOCK, generator=random, dtype=torch.float64)
        return torch.searchsorted(ends / ends[-1].double(), drawn, right=True)

    @torch.no_grad()
    def between(
        self, network: Generator, prior: Prior, rows: int, steps: int, labels: Tensor
    ) -> Tensor:
        """Samples on the way from one latent to another, in each row from another one.

        The way is a quarter of the circle around zero, on which normal numbers stay normal: on a
        straight line those in the middle would be too small (White 2016). Noise inside
        the layers is the same all along.

        Args:
            network: The generator.
            prior: What makes its latents of normal numbers.
            rows: How many ways, at most 125.
            steps: Samples on each, those at both ends among them.
            labels: Class indices (rows * steps,).

        Returns:
            Samples (rows * steps, ...), row by row.
        """
        random = block_generator(self.seed, 0)
        z = normal_latents(BLOCK, network.latent_dim, random, self.truncation)[: 2 * rows]
        angles = torch.linspace(0, torch.pi / 2, steps)[:, None, None]
        starts, ends = z[:rows], z[rows:]
        ways = (angles.cos() * starts + angles.sin() * ends).unbind()
        made = [
            self._images(network, prior, latents, labels[step::steps], 0, slice(0, rows))
            for step, latents in enumerate(ways)
        ]
        return torch.stack(made, 1).flatten(0, 1)

    def _images(
        self, network: Generator, prior: Prior, z: Tensor, labels: Tensor, block: int, chosen: slice
    ) -> Tensor:
        """What the generator makes of normal numbers, with the noise of some samples of a block."""
        weight = next(network.parameters())
        z = prior(z.to(weight.device, weight.dtype))
        # The name of the stream is as old as the first measurements, and keeps them.
        noise = Seeds(self.seed).stream("measured", block, Shard(BLOCK, 0, BLOCK), z)
        given = z, labels.to(weight.device), noise.subset(chosen)
        with evaluating(network):
            if self.psi is None:
                return network.generate(*given)
            return network.generate_truncated(*given, self.psi)

    def first(
        self, network: Generator, prior: Prior, count: int, labels: Tensor | None = None
    ) -> Iterator[Tensor]:
        """Samples 0 to ``count``, block by block."""
        for start in range(0, count, BLOCK):
            end = min(start + BLOCK, count)
            own = None if labels is None else labels[start:end]
            yield self.generate(network, prior, start // BLOCK, slice(0, end - start), own)


def class_indices(
    labels: Labels, count: int, num_classes: int, names: Sequence[str] = ()
) -> Tensor | None:
    """The classes that are asked for, as class indices (count,); None where they are to be drawn.

    Args:
        labels: Classes by number or name. A text that is no name of a class may be its number.
        count: Number of samples.
        num_classes: Of the generator; 0 where it knows none.
        names: Of the classes, by number, as far as they are known.

    Raises:
        ConfigurationError: If there is no such class, or there are not as many as samples.
    """
    if labels is None or (isinstance(labels, Tensor) and num_classes == 0):
        return None
    if isinstance(labels, Tensor) and labels.ndim == 0:
        labels = labels.item()
    if isinstance(labels, int | float | Real | str):  # one number in memory, however many samples
        return torch.tensor(_class_index(labels, num_classes, names)).expand(count)
    if isinstance(labels, Tensor):
        found = labels.long()
        if (found != labels).any():
            raise ConfigurationError("sample: labels must be whole numbers, the classes'.")
    else:
        found = torch.tensor([_class_index(label, num_classes, names) for label in labels])
    if found.shape != (count,):
        raise ConfigurationError(
            f"sample: labels of shape {tuple(found.shape)} are not those of {count} samples: give "
            "one class for each sample, or one for all."
        )
    for label in (int(found.min()), int(found.max())):
        _class_index(label, num_classes, names)
    return found


def _class_index(label: Label, num_classes: int, names: Sequence[str]) -> int:
    """The number of a class.

    Raises:
        ConfigurationError: If the generator does not know it.
    """
    if num_classes == 0:
        raise ConfigurationError(
            f"class {label}: this generator was trained without classes; leave it out."
        )
    known = dict(zip(names, range(num_classes), strict=False))
    if isinstance(label, str) and label not in known and label.isdecimal() and len(label) < 10:
        label = int(label)
    index = known.get(label, -1) if isinstance(label, str) else whole("sample", "class", label)
    if 0 <= index < num_classes:
        return index
    near = nearest(label, known) if isinstance(label, str) else None
    listed = ", ".join([*known][:SHOWN]) + (", ..." if len(known) > SHOWN else "")
    hint = f"; did you mean {near}?" if near else f": {listed}." if known else "."
    raise ConfigurationError(
        f"class {label}: this generator knows classes 0 to {num_classes - 1}{hint}"
    )


def class_names_in(setting: Plain) -> tuple[str, ...]:
    """The names of the classes in what a checkpoint says of its data; none if it says nothing."""
    data = setting.get("data") if isinstance(setting, dict) else None
    arguments = data.get("init_args") if isinstance(data, dict) else None
    names = arguments.get("class_names") if isinstance(arguments, dict) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, from which every layer returns to its own."""
    before = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
