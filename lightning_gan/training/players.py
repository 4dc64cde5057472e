"""The two players: what each of them moves, and what it pays."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.checkpoints.parts import MakeOptimizer
from lightning_gan.errors import at_least, check_range
from lightning_gan.regularizers import Penalty
from lightning_gan.training.optimizers import correct_for_laziness, skip_capture_check
from lightning_gan.training.schedule import Moving, PlayerName
from lightning_gan.training.step import Kind, Step


@dataclass(frozen=True)
class Term:
    """A penalty as one player pays it.

    Args:
        penalty: Whose term it is.
        compute: The bare term of a step.
        weight: Its factor.
        reads: Whose logits or features it reads.
    """

    penalty: Penalty
    compute: Callable[[Step], Tensor | None]
    weight: Moving
    reads: tuple[Kind, ...]


@dataclass(frozen=True)
class Player:
    """One of the two: its weights, its loss, and the terms that join it.

    Args:
        name: Which one it is.
        weights: What its optimizer moves.
        loss: The bare loss of a step.
        reads: Whose logits or features the loss reads, in this order.
        terms: The penalties that it pays.
    """

    name: PlayerName
    weights: nn.ModuleList
    loss: Callable[[Step], Tensor]
    reads: tuple[Kind, ...]
    terms: tuple[Term, ...]

    def make_optimizer(self, make: MakeOptimizer) -> Optimizer:
        """The player's optimizer, adapted to penalties that are not due at every update.

        Raises:
            ConfigurationError: If its rate is out of range.
        """
        optimizer = make([weight for weight in self.weights.parameters() if weight.requires_grad])
        acting = [term.penalty.every for term in self.terms if term.penalty.acts(self.name)]
        correct_for_laziness(optimizer, max(acting, default=1))
        skip_capture_check(optimizer)
        for group in optimizer.param_groups:
            check_range(optimizer, at_least(0), lr=group["lr"])
            group["initial_lr"] = group["lr"]  # what a curve of the learning rate multiplies
        return optimizer

    def due(self, update: int) -> tuple[Term, ...]:
        """The terms that join the player's update of that number."""
        # Lazy penalties skip updates of their own player: the other one may move more often.
        return tuple(term for term in self.terms if update % term.penalty.every == 0)
