"""A probability that rises where the discriminator is too sure of the reals."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_gan.augment.base import Augmentation
from lightning_gan.distributed import processes
from lightning_gan.errors import above, at_least, below, check_range
from lightning_gan.training.schedule import Curve, Value, ValueOf

TRILLION = 10**12

KNOWN = ("trillionths", "scored", "images", "updates")
"""Buffers whose numbers all processes know without asking the device."""


class SignController(nn.Module):
    r"""A probability p that follows the signs of the reals' logits.

    Every ``every`` updates of the discriminator p moves by the images seen since, divided by
    ``1000 kimg``: up where :math:`r_t = \mathbb{E}\,\mathrm{sign}(D(x))`, over the reals since the
    last move, is above ``target``, down where it is below (Karras et al. 2020, section 3, Eq. 1).
    It is kept from falling below 0 but not from rising above 1; what uses it takes ``min(p, 1)``.

    All state lies in integer buffers, which are exact in every precision and on every device, and
    the same on all processes after every update.

    Args:
        target: The wanted :math:`r_t`, in (-1, 1).
        kimg: Thousands of images in which p goes from 0 to 1, if it always goes up.
        every: Updates of the discriminator between two moves of p.
        start: The value that p starts from.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    trillionths: Tensor
    signs: Tensor
    scored: Tensor
    images: Tensor
    updates: Tensor

    logged = ("p",)

    def __init__(
        self, target: float = 0.6, kimg: float = 500, every: int = 4, start: float = 0.0
    ) -> None:
        super().__init__()
        what = "Adaptive augmentation"  # whichever holds the controller
        check_range(what, above(-1), below(1), target=target)
        check_range(what, above(0), kimg=kimg)
        check_range(what, at_least(1), every=every)
        check_range(what, at_least(0), start=start)
        self.target, self.kimg, self.every = target, kimg, every
        self.register_buffer("trillionths", torch.tensor(round(start * TRILLION)))
        for name in ("signs", "scored", "images", "updates"):  # since p moved last
            self.register_buffer(name, torch.tensor(0))
        self._known: dict[str, int] = {}
        """What the buffers hold, but for the signs: reading them would wait for the device."""

    @property
    def p(self) -> float:
        """The probability, which may be above 1."""
        return self._counts()["trillionths"] / TRILLION

    def _counts(self) -> dict[str, int]:
        if not self._known:
            values = torch.stack([getattr(self, name) for name in KNOWN]).tolist()
            self._known = dict(zip(KNOWN, values, strict=True))
        return self._known

    def forward(self, images: int) -> float:
        """The probability now, as a curve gives it; the images seen are in its state."""
        return self.p

    @torch.no_grad()
    def observe(self, real_logits: Tensor, images: int) -> None:
        """Counts the signs of an update, and moves p if that is due.

        Args:
            real_logits: Logits (N,) of the reals on this process, as many on every one; ones that
                are not numbers count as zero. There are fewer than reals where some share one.
            images: Reals in the batch over all processes.
        """
        counts = self._counts()
        signs = (real_logits > 0).sum() - (real_logits < 0).sum()
        self.signs += processes.gather(signs[None]).sum().to(self.signs.device)
        counts["scored"] += len(real_logits) * processes.world_size()
        counts["images"] += images
        counts["updates"] += 1
        if counts["updates"] >= self.every:
            self._move(counts)
        for name, count in counts.items():
            getattr(self, name).fill_(count)

    def _move(self, counts: dict[str, int]) -> None:
        # The only number that the device alone knows; which p follows is a matter of the host.
        surplus = int(self.signs) - self.target * counts["scored"]
        step = round(counts["images"] * TRILLION / (1000 * self.kimg))
        moved = counts["trillionths"] + step * ((surplus > 0) - (surplus < 0))
        counts.update(trillionths=max(moved, 0), scored=0, images=0, updates=0)
        self.signs.zero_()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super()._load_from_state_dict(*args, **kwargs)
        self._known = {}


class SignAdapted(Augmentation, base=True):
    """An augmentation whose probability follows the signs of the reals' logits, or a schedule.

    Args:
        target: As of :class:`SignController`.
        kimg: As there.
        every: As there.
        start: As there.
    """

    schedule: Curve | None = None
    """The probability as a function of the images seen; None to adapt it."""

    def __init__(
        self, target: float = 0.6, kimg: float = 500, every: int = 4, start: float = 0.0
    ) -> None:
        super().__init__()
        self.controller = SignController(target, kimg, every, start)
        self.reads_signs = True

    def probability(self, value_of: ValueOf) -> Value:
        """The probability now, in [0, 1]."""
        p = value_of(self.controller if self.schedule is None else self.schedule)
        if isinstance(p, Tensor):
            return p.clamp(max=1)
        return min(max(p, 0.0), 1.0)

    def observe(self, real_logits: Tensor, images: int) -> None:
        """Adapts p to the signs of the reals' logits (N,), unless it follows a schedule."""
        if self.reads_signs:
            self.controller.observe(real_logits, images)
