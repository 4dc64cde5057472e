"""What an update costs the host: no wait for the device, few operators, no empty hooks.

On a GPU the host would wait; here the operators that make it wait are counted.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from resuming import BATCH
from resuming_recipes import (
    _no_files,  # noqa: F401 (a fixture)
    parts_in,
    representatives,
    shrunken,
)
from tiny import Pictures, Points, quiet_trainer
from torch import Tensor
from torch.nn.functional import softplus
from torch.optim import optimizer as optimizers
from torch.utils._python_dispatch import TorchDispatchMode
from zoo import examples

from lightning_gan.augment import SignController
from lightning_gan.callbacks import Balance, CollapseGuard, StopOnDivergence
from lightning_gan.cli import program
from lightning_gan.datamodules import Digits, Ring
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    DCGANDiscriminator,
    DCGANGenerator,
    MLPDiscriminator,
    MLPGenerator,
)
from lightning_gan.objectives import NonSaturating
from lightning_gan.training.schedule import Progress
from scripts.recipe_table import settings_of

WARM_UP, BATCHES = 8, 20
"""Batches before the looking begins, and that are looked at."""

WAITING = {
    "_local_scalar_dense": "item, float, int or bool of a tensor",
    "lift_fresh": "torch.tensor, new_tensor, or a list as an index",
    "nonzero": "a mask as an index, or nonzero",
    "masked_select": "masked_select",
    "equal": "torch.equal",
    "_unique2": "unique",
    "bincount": "bincount",
}
"""Operators that make the host wait for a GPU, and what they come from."""


class Watch(TorchDispatchMode):
    """Counts operators while it looks, but for optimizers' own, whose counters lie on the host."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = False
        self.pauses = False
        self.counts: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        """What is in the optimizers' steps."""

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        if self.looks:
            name = operator.overloadpacket.__name__
            indices = arguments[1] if name in ("index", "index_put_") else ()
            by_mask = any(i is not None and i.dtype == torch.bool for i in indices)
            counts = self.steps if self.pauses else self.counts
            counts["nonzero" if by_mask else name] += 1
        return operator(*arguments, **(options or {}))

    @contextmanager
    def over_optimizers(self) -> Iterator[None]:
        """Knows when an optimizer steps, meanwhile."""

        def pause(*_: object) -> None:
            self.pauses = True

        def go_on(*_: object) -> None:
            self.pauses = False

        hooks = (
            optimizers.register_optimizer_step_pre_hook(pause),
            optimizers.register_optimizer_step_post_hook(go_on),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def waits(self) -> dict[str, int]:
        """How often the host would have waited, and why."""
        return {why: self.counts[name] for name, why in WAITING.items() if self.counts[name]}


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Looks at some batches of the next training, from one count of batches to another."""
    watch, count = Watch(), Progress.count_batch

    def counted(progress: Progress, images: int) -> None:
        count(progress, images)
        watch.looks = WARM_UP <= progress.batches < WARM_UP + BATCHES

    monkeypatch.setattr(Progress, "count_batch", counted)
    with watch.over_optimizers(), watch:
        yield watch


def of_moves(gan: GAN) -> dict[str, int]:
    """What the controllers of a model read: one number whenever p moves."""
    every = [part.every for part in gan.modules() if isinstance(part, SignController)]
    reads = sum(BATCHES // moves for moves in every)
    return {WAITING["_local_scalar_dense"]: reads} if reads else {}


PARTS = [name for name in examples() if name != "Unrolled"]
RECIPES = [name for name in representatives() if "Unrolled" not in parts_in(settings_of(name))]
"""All but one: Unrolled reads how many steps an optimizer has made, which stands on the host."""


@pytest.mark.parametrize("name", PARTS)
def test_no_part_makes_the_host_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gan = examples()[name]()
    gan.max_images = 8 * (WARM_UP + BATCHES + 2)
    data = Points(8) if gan.generator.image_size == 0 else Pictures(8)
    watching = [Balance(), CollapseGuard(), StopOnDivergence()]
    with watched(monkeypatch) as watch:
        quiet_trainer(callbacks=watching, log_every_n_steps=1000).fit(gan, data)
    assert sum(watch.counts.values()) > 20 * BATCHES
    assert watch.waits() == of_moves(gan)


@pytest.mark.weekly
@pytest.mark.usefixtures("_no_files")
@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_makes_the_host_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[GAN] = []
    monkeypatch.setattr(GAN, "on_train_end", lambda gan: found.append(gan))
    batches = WARM_UP + BATCHES + 2
    options = ["--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "1000"]
    options += ["--trainer.limit_val_batches", "0", "--data.batch_size", str(BATCH)]
    options += ["--trainer.limit_train_batches", str(batches)]  # no epoch ends in between
    options += ["--model.max_images", str(batches * BATCH)]
    with watched(monkeypatch) as watch:
        assert program.run(["fit", "--config", name, *shrunken(name), *options]) == 0
    assert sum(watch.counts.values()) > 20 * BATCHES
    assert watch.waits() == of_moves(found[0])


class Bare:
    """The same updates in a plain loop."""

    def __init__(self, gan: GAN) -> None:
        self.generator, self.discriminator = gan.generator, gan.discriminator
        self.average = copy.deepcopy(gan.generator)
        self.optimizers = [
            torch.optim.Adam(player.parameters(), lr=2e-4, betas=(0.5, 0.999), foreach=True)
            for player in (self.discriminator, self.generator)
        ]

    def step(self, real: Tensor, labels: Tensor) -> None:
        generator, discriminator = self.generator, self.discriminator
        z = torch.randn(len(real), generator.latent_dim)
        with torch.no_grad():
            fake = generator(z, labels)
        loss = softplus(-discriminator(real, labels)).mean()
        loss = loss + softplus(discriminator(fake, labels)).mean()
        self.optimizers[0].zero_grad()
        loss.backward()
        self.optimizers[0].step()
        discriminator.requires_grad_(False)
        z = torch.randn(len(real), generator.latent_dim)
        loss = softplus(-discriminator(generator(z, labels), labels)).mean()
        self.optimizers[1].zero_grad()
        loss.backward()
        self.optimizers[1].step()
        discriminator.requires_grad_(True)
        with torch.no_grad():
            networks = (self.average, generator)
            torch._foreach_lerp_(*([*network.parameters()] for network in networks), 0.001)
            if buffers := [*generator.buffers()]:
                torch._foreach_copy_([*self.average.buffers()], buffers)


CASES: dict[str, tuple[Callable[[], GAN], Callable[[], Any]]] = {
    "ring": (
        lambda: GAN(MLPGenerator(2, 0), MLPDiscriminator(2, 0), NonSaturating()),
        lambda: Ring(batch_size=8),
    ),
    "dcgan": (
        lambda: GAN(
            DCGANGenerator(1, 28, width=4),
            DCGANDiscriminator(1, 28, width=4),
            NonSaturating(),
            channels_last=False,  # as the loop beside it
        ),
        lambda: Digits(batch_size=8),
    ),
}

MORE = 12
"""Operators that a step may have beyond a bare loop's: detached logits and losses, mostly."""


@pytest.mark.parametrize("case", CASES)
def test_a_step_has_few_operators_beyond_a_bare_loop(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = CASES[case]
    gan, loader = model(), data().train_dataloader()
    gan.max_images = 8 * (WARM_UP + BATCHES + 2)
    watching = [Balance(), CollapseGuard(), StopOnDivergence()]
    with watched(monkeypatch) as watch:
        quiet_trainer(callbacks=watching, log_every_n_steps=1000).fit(gan, data())
    bare, alone, batches = Bare(model()), Watch(), iter(loader)
    bare.step(*next(batches))  # so that the optimizers have their state
    alone.looks = True
    with alone.over_optimizers(), alone:
        for _ in range(BATCHES):
            bare.step(*next(batches))
    assert watch.steps == alone.steps
    more = (watch.counts - alone.counts).total() / BATCHES
    assert more <= MORE, watch.counts - alone.counts


def test_hooks_that_a_callback_does_not_define_are_not_called() -> None:
    class Quiet(Balance):
        pass

    called: list[str] = []

    trainer = quiet_trainer(callbacks=[Quiet()])
    profile = trainer.profiler.start

    def start(action: str) -> None:
        called.append(action)
        profile(action)

    trainer.profiler.start = start  # type: ignore[method-assign]
    gan = examples()["NonSaturating"]()
    gan.max_images = 16
    trainer.fit(gan, Points(8))
    hooks = {action.rpartition(".")[2] for action in called if "Quiet" in action}
    assert {"on_before_optimizer_step", "on_train_batch_end"} <= hooks
    assert not hooks & {"on_before_backward", "on_after_backward", "on_train_batch_start"}


def test_no_step_on_a_cpu_looks_for_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    class Look(Callback):
        def on_train_start(self, *_: object) -> None:
            usual = torch.cuda.is_available
            monkeypatch.setattr(torch.cuda, "is_available", lambda: (looks.append(1), usual())[1])

        def on_train_end(self, *_: object) -> None:
            monkeypatch.undo()

    gan = examples()["NonSaturating"]()
    gan.max_images = 80
    quiet_trainer(callbacks=[Look()]).fit(gan, Points(8))
    assert not looks
