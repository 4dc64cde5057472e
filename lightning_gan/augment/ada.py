"""Adaptive discriminator augmentation: as much as it takes against overfitting."""

from functools import partial

from torch import Tensor

from lightning_gan.augment.ada_color import recolored
from lightning_gan.augment.ada_corruption import filtered, holed, noisy
from lightning_gan.augment.ada_geometry import changed
from lightning_gan.augment.adaptive import SignAdapted
from lightning_gan.augment.operations import Stage, augmented, those_on
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import at_least, at_most, check_range
from lightning_gan.training.schedule import Curve, ValueOf


class AdaptiveAugmentation(SignAdapted):
    """Augments images by up to 18 operations, each with a probability p that adapts.

    ADA (Karras et al. 2020, section 3 and appendix B), with the paper's operations and strengths.
    p rises while the discriminator is too sure of the reals, as a sign of overfitting, and falls
    while it is not: every ``every`` updates of it p moves by the images seen since, divided by
    ``1000 kimg``, up where the mean sign of the reals' logits was above ``target`` and down where
    it was below. p is kept from falling below 0 only, and counts as 1 where it is above. The
    defaults are the paper's recommendation, "bgc".

    Operations follow each other in the order of the arguments. Images to which none is applied
    stay as they are, bit for bit. Differences from the paper: blitted images are copied and not
    interpolated; what lies outside is mirrored without end, with the outermost pixels doubled.
    On CUDA, gradients through ``geometry`` are those of torch's ``grid_sample``, which differ in
    the last bits from run to run.

    Args:
        target: Mean sign of the reals' logits that is aimed at, in (-1, 1).
        kimg: Thousands of images in which p goes from 0 to 1, if it always goes up.
        every: Updates of the discriminator between two moves of p.
        blit: Whether to mirror, to turn by quarters (by halves where images are not square), and
            to shift by whole pixels, up to an eighth of the size.
        geometry: Whether to scale, rotate, stretch and shift, with interpolation.
        color: Whether to change brightness and contrast and to flip the luma, and, where there is
            more than one channel, the saturation. The hue is rotated where there are three.
        filtering: Whether to amplify four bands of frequencies.
        noise: Whether to add noise.
        cutout: Whether to set a rectangle of half the height and width to zero.
        start: The value that p starts from.
        schedule: p as a function of the images seen, without adapting: then ``target``, ``kimg``,
            ``every`` and ``start`` do nothing. R3GAN (Huang et al. 2024) does so.
        color_share: Probability of the operations on colour as a share of p; R3GAN takes a half.

    Raises:
        ConfigurationError: If all operations are off, a number is out of range, or the samples are
            points.
    """

    def __init__(
        self,
        target: float = 0.6,
        kimg: float = 500,
        every: int = 4,
        blit: bool = True,
        geometry: bool = True,
        color: bool = True,
        filtering: bool = False,
        noise: bool = False,
        cutout: bool = False,
        start: float = 0.0,
        schedule: Curve | None = None,
        color_share: float = 1.0,
    ) -> None:
        super().__init__(target, kimg, every, start)
        check_range(self, at_least(0), at_most(1), color_share=color_share)
        self.schedule, self.reads_signs = schedule, schedule is None
        self.turns = blit or geometry
        stages: list[tuple[bool, Stage]] = [
            (blit or geometry, partial(changed, blit=blit, geometry=geometry)),
            (color, partial(recolored, share=color_share)),
            (filtering, filtered),
            (noise, noisy),
            (cutout, holed),
        ]
        names = "blit, geometry, color, filtering, noise or cutout"
        self._stages = those_on(self, stages, names)

    def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
        """Augments images (N, C, H, W), each in its own way, with gradients of any order."""
        return augmented(self, self._stages, samples, random, self.probability(value_of))
