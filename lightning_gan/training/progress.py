"""What has been done so far, and what the last updates showed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

Player = Literal["discriminator", "generator"]
PLAYERS: tuple[Player, Player] = ("discriminator", "generator")


@dataclass
class Progress:
    """What has been done so far; saved in checkpoints, counted over all processes.

    Lightning's ``global_step`` equals ``generator_updates``.
    """

    images: int = 0
    batches: int = 0
    discriminator_updates: int = 0
    generator_updates: int = 0

    def saw(self, images: int) -> None:
        """Counts a batch of so many images over all processes."""
        self.batches += 1
        self.images += images

    def updates(self, player: Player) -> int:
        """Updates that ``player`` has made."""
        count: int = getattr(self, f"{player}_updates")
        return count

    def moved(self, player: Player) -> None:
        """Counts one more update of ``player``."""
        setattr(self, f"{player}_updates", self.updates(player) + 1)


@dataclass
class Update:
    """What callbacks may read of a player's update, detached."""

    player: Player
    loss: Tensor
    real_logits: Tensor | None
    fake_logits: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
