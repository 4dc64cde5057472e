"""Updates compiled by torch.compile: one graph from samples to gradients, penalties included.

A compiled function knows tensors alone. What an update draws is drawn before it, by the same calls
in the same order, so that no bit changes, and numbers that move with the images seen go in as
tensors. Updates that differ in more than numbers are of another kind, with a function of its own:
once each kind has been seen, nothing is compiled anew. A kind is first played without being
compiled, to learn what it draws and which curves it asks for.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException
from torch.optim import Optimizer

from lightning_gan.basics.precision import outside_autocast
from lightning_gan.basics.randomness import Law, RandomStream
from lightning_gan.errors import ConfigurationError, said
from lightning_gan.training.composition import Composition
from lightning_gan.training.game import Game
from lightning_gan.training.players import Player, Term
from lightning_gan.training.schedule import Moving, Value, ValueOf, is_positive
from lightning_gan.training.step import Step, StepOutput

BACKEND = "inductor"
"""What compiles the graphs; tests take a faster one."""

Kind = tuple[object, ...]
"""What updates of one function have in common."""

Play = Callable[[Tensor, Tensor, RandomStream, ValueOf], tuple[Step, Tensor, StepOutput]]
"""From reals and labels to what a player sees, its loss, and what the update shows."""

Gradients = tuple[Tensor | None, ...]
"""By each of a player's weights; None where one takes no part."""

Seen = list[Tensor]
"""Reals, fakes, latents and drawn latents, without gradients."""

Function = Callable[
    [Tensor, Tensor, list[Tensor], Tensor], tuple[Tensor, Gradients, StepOutput, Seen]
]
"""From reals, labels, draws and moving values (V,) to loss, gradients, what is shown and seen."""


@dataclass(frozen=True)
class Played(Step):
    """A step whose loss is there already.

    Args:
        loss: The loss with all terms that were due; its backward pass hands on gradients.
        output: What the update shows.
    """

    loss: Tensor | None = None
    output: StepOutput | None = None


@dataclass(frozen=True)
class _Kind:
    """What is known of a kind of update.

    Args:
        weights: What the gradient is taken by.
        draws: Laws and shapes of what is drawn, in order.
        curves: What values are asked for, in order.
        function: Compiled, and called like any other.
    """

    weights: list[nn.Parameter]
    draws: list[tuple[Law, tuple[int, ...]]]
    curves: list[Moving]
    function: Function


class CompiledGame(Game):
    """A game whose updates are compiled.

    The gradients are computed with the loss, and by the weights of the player alone; the backward
    pass of the loss only hands them on.

    Args:
        parts: What plays; attached already.
        seed: Seed of every random number that is drawn.
    """

    mode: str | None = None
    """Of torch.compile, set before the first update; "reduce-overhead" replays CUDA graphs."""

    def __init__(self, parts: Composition, seed: int = 0) -> None:
        super().__init__(parts, seed)
        self._kinds: dict[Kind, _Kind] = {}
        self._curves: dict[Kind, dict[Moving, None]] = {}

    def see(
        self,
        player: Player,
        due: Sequence[Term],
        real: Tensor,
        labels: Tensor,
        random: RandomStream,
        value_of: ValueOf,
        discriminator_optimizer: Optimizer | None = None,
        is_last: bool = True,
    ) -> Step:
        """What a player sees of some reals, with its loss.

        Raises:
            ConfigurationError: If a part cannot be compiled.
        """
        alike = player.name, tuple(type(term.penalty) for term in due), real.shape, random.shard
        kind = self._kinds.get(self._kind(alike, value_of))
        if kind is not None:
            numbers = [random.draw(*draw) for draw in kind.draws]
        else:
            kind, numbers = self._new_kind(player, due, alike, real, labels, random, value_of)
        moving = [value for value in map(value_of, kind.curves) if is_positive(value)]
        values = _on_device(moving, real.device)
        loss, gradients, output, seen = self._called(kind.function, real, labels, numbers, values)
        return Played(
            player=player.name,
            real=seen[0],
            fake=seen[1],
            labels=labels,
            z=seen[2],
            drawn_z=seen[3],
            random=random,
            generator=self.parts.generator,
            discriminator=self.parts.discriminator,
            discriminate=self._discriminate(random, value_of, precise=False),
            value_of=value_of,
            is_last=is_last,
            loss=_handing_on(loss, kind.weights, gradients),
            output=output,
        )

    def loss(self, step: Step, due: Sequence[Term]) -> tuple[Tensor, StepOutput]:
        """The loss and what the update shows, as they were computed with the step."""
        if not isinstance(step, Played) or step.loss is None or step.output is None:
            return super().loss(step, due)
        return step.loss, step.output

    def _kind(self, alike: Kind, value_of: ValueOf) -> Kind:
        """The kind of an update, by what is known before and by the curves that are at zero."""
        # What is at zero is left out, as are the draws for it; in a graph nothing can branch.
        values = map(value_of, self._curves.get(alike, ()))
        return *alike, *(None if is_positive(value) else value for value in values)

    def _new_kind(
        self,
        player: Player,
        due: Sequence[Term],
        alike: Kind,
        real: Tensor,
        labels: Tensor,
        random: RandomStream,
        value_of: ValueOf,
    ) -> tuple[_Kind, list[Tensor]]:
        """Plays an update to learn its kind; gives what was drawn for it, too."""
        see, loss_of = super().see, super().loss
        draws: list[tuple[Law, tuple[int, ...]]] = []
        numbers: list[Tensor] = []
        curves: list[Moving] = []

        def play(
            real: Tensor, labels: Tensor, random: RandomStream, value_of: ValueOf
        ) -> tuple[Step, Tensor, StepOutput]:
            step = see(player, due, real, labels, random, value_of)
            return step, *loss_of(step, due)

        def draw(law: Law, shape: tuple[int, ...]) -> Tensor:
            draws.append((law, shape))
            numbers.append(random.draw(law, shape))
            return numbers[-1]

        def noted(number: Moving) -> Value:
            if callable(number):
                curves.append(number)
            return value_of(number)

        with _unmoved(self.parts):
            play(real, labels, RandomStream(draw, random.shard, random.dtype), noted)
        weights = [weight for weight in player.weights.parameters() if weight.requires_grad]
        known = [None if is_positive(value) else value for value in map(value_of, curves)]
        kind = _Kind(weights, draws, curves, self._compiled(play, weights, known, random))
        self._curves.setdefault(alike, {}).update(dict.fromkeys(curves))
        self._kinds[self._kind(alike, value_of)] = kind
        return kind, numbers

    def _compiled(
        self,
        play: Play,
        weights: list[nn.Parameter],
        known: list[Value | None],
        random: RandomStream,
    ) -> Function:
        """An update as a function of tensors, compiled.

        Args:
            play: The update.
            weights: What the gradient is taken by.
            known: Values that are asked for, in order; None for those that are given as tensors.
            random: A stream of the same shard and type.
        """
        shard, dtype = random.shard, random.dtype

        def function(
            real: Tensor, labels: Tensor, numbers: list[Tensor], values: Tensor
        ) -> tuple[Tensor, Gradients, StepOutput, Seen]:
            drawn, asked, moving = iter(numbers), iter(known), iter(values.unbind())

            def value_of(number: Moving) -> Value:
                if not callable(number):
                    return number
                value = next(asked)
                return next(moving) if value is None else value

            stream = RandomStream(lambda law, shape: next(drawn), shard, dtype)
            step, loss, output = play(real, labels, stream, value_of)
            # Outside autocast, under which second derivatives of penalties would lose bits.
            with outside_autocast(real.device):
                gradients = torch.autograd.grad(loss, weights, allow_unused=True)
            seen = [t.detach() for t in (step.real, step.fake, step.z, step.drawn_z)]
            return loss.detach(), gradients, output, seen

        # Torch warns of tables that are kept: a graph computes its own, to the same numbers.
        warnings.filterwarnings("ignore", "Dynamo detected a call to a `functools.lru_cache`")
        options = {"backend": BACKEND, "mode": self.mode, "isolate_recompiles": True}
        compile: Any = torch.compile  # whose types do not know all of its arguments yet
        compiled: Function = compile(function, fullgraph=True, dynamic=False, **options)
        return compiled

    def _called(
        self,
        function: Function,
        real: Tensor,
        labels: Tensor,
        numbers: list[Tensor],
        values: Tensor,
    ) -> tuple[Tensor, Gradients, StepOutput, Seen]:
        """What a compiled function gives, in memory of its own."""
        if self.mode is not None:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch's
        try:
            # Penalties take gradients inside.
            with torch._dynamo.config.patch("trace_autograd_ops", True):
                loss, gradients, output, seen = function(real, labels, numbers, values)
        except TorchDynamoException as error:
            raise ConfigurationError(
                f"torch.compile cannot compile this model ({said(error)[:300]}): leave compile out."
            ) from error
        if self.mode is None:
            return loss, gradients, output, seen
        # What a replayed graph gives is overwritten by the next replay; callbacks read it later.
        return loss, gradients, _copied(output), [tensor.clone() for tensor in seen]


def _copied(output: StepOutput) -> StepOutput:
    """The same in other memory."""
    real = output.real_logits
    return StepOutput(
        output.player,
        output.loss.clone(),
        None if real is None else real.clone(),
        output.fake_logits.clone(),
        {name: term.clone() for name, term in output.terms.items()},
    )


def _on_device(values: list[Value], device: torch.device) -> Tensor:
    """Numbers (V,) on a device that is not waited for."""
    # One tensor, since the compiler would take scalars for numbers that do not move.
    wide = torch.float32 if device.type == "mps" else torch.float64
    numbers = torch.tensor(values, dtype=wide, pin_memory=device.type == "cuda")
    return numbers.to(device, non_blocking=True)


class _HandingOn(torch.autograd.Function):
    """A loss whose backward pass gives the weights gradients that are there already."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: list[Tensor], *weights: Tensor) -> Tensor:  # noqa: ANN401 (torch's own)
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *factors: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 (likewise)
        return None, None, *torch._foreach_mul(ctx.gradients, factors[0])


def _handing_on(loss: Tensor, weights: list[nn.Parameter], gradients: Gradients) -> Tensor:
    """The loss, which hands on its gradients."""
    pairs = [(g, w) for g, w in zip(gradients, weights, strict=True) if g is not None]
    found: Tensor = _HandingOn.apply(loss, [g for g, _ in pairs], *(w for _, w in pairs))
    return found


@contextmanager
def _unmoved(parts: Composition) -> Iterator[None]:
    """Leaves all buffers as they are: running means, and the vectors of power iterations."""
    modules: list[nn.Module] = [parts.generator, parts.discriminator, parts.objective]
    modules += [*parts.regularizers, *([parts.augmentation] if parts.augmentation else [])]
    buffers = [buffer for module in modules for buffer in module.buffers()]
    before = [buffer.clone() for buffer in buffers]
    yield
    with torch.no_grad():
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
