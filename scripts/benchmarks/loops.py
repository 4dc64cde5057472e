"""Hand-written training loops in plain PyTorch, one step a call, and ours beside them.

All make their networks, data and batches in the same way. The random numbers of the first steps are
those that ours draws, so that losses can be compared; after that a loop draws in the cheapest way.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator

import checkout  # noqa: F401 - finds the package
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

import lightning_gan
from benchmarks.cases import CASES, Case, Score
from benchmarks.measure import NOT_INHERITED, Turns
from lightning_gan.basics.memory import keep_freed_memory
from lightning_gan.basics.randomness import Seeds, Shard
from lightning_gan.callbacks.base import GANCallback
from lightning_gan.datamodules import RealData
from lightning_gan.gan import GAN
from lightning_gan.training.schedule import PlayerName

Batch = tuple[Tensor, Tensor]


class Loop:
    """A plain loop of the same arithmetic as ours, without anything around it.

    Fresh latents for each player, no graph through the generator in the discriminator's update, the
    discriminator frozen in the generator's, Adam, and an average of the generator.

    Args:
        case: What is trained.
        compared: Steps whose latents are drawn as ours draws them.
        half: Whether networks run in bfloat16 where no penalty forbids it.
        channels_last: Whether images are laid out as (N, H, W, C).
    """

    same_as_ours = True
    """Whether it computes the same losses from the same random numbers."""

    def __init__(
        self, case: Case, compared: int = 0, half: bool = False, channels_last: bool = False
    ) -> None:
        self.case, self.compared, self.half = case, compared, half
        torch.manual_seed(0)
        self.generator, self.discriminator = case.networks()
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        if channels_last:
            for network in (self.generator, self.discriminator):
                network.to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizers = [
            Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (self.discriminator, self.generator)
        ]
        self.batches = self.read(case.data(case.batch))
        self.steps = 0
        self._seeds = Seeds(0)

    def read(self, data: RealData) -> Iterator[Batch]:
        """Batches without end, from the same loader that ours reads."""
        loader = data.train_dataloader()
        while True:
            yield from loader

    def step(self) -> tuple[Tensor, Tensor]:
        """One update of each player and of the average; their bare losses."""
        return self.update(*next(self.batches))

    def update(self, real: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The same with a batch at hand."""
        if real.ndim == 4:
            real = real.contiguous(memory_format=self.layout)
        bare = self.update_discriminator(real, labels), self.update_generator(real, labels)
        self.update_average()
        self.steps += 1
        return bare

    def update_discriminator(self, real: Tensor, labels: Tensor) -> Tensor:
        """One update of the discriminator; its loss without penalties."""
        with self.autocast(), torch.no_grad():
            fake = self.generator(self.draw("discriminator", len(real)), labels).float()
        with self.autocast(not self.case.losses.precise):
            bare, penalty = self.case.losses.discriminator(self.scorer(labels), real, fake)
        self.optimizers[0].zero_grad()
        self.backward(bare if penalty is None else bare + penalty)
        self.optimizers[0].step()
        return bare.detach()

    def update_generator(self, real: Tensor, labels: Tensor) -> Tensor:
        """One update of the generator; its loss."""
        self.discriminator.requires_grad_(False)
        with self.autocast():
            fake = self.generator(self.draw("generator", len(real)), labels)
            loss = self.case.losses.generator(self.scorer(labels), real, fake)
        self.optimizers[1].zero_grad()
        self.backward(loss)
        self.optimizers[1].step()
        self.discriminator.requires_grad_(True)
        return loss.detach()

    def backward(self, loss: Tensor) -> None:
        """The gradients of a loss."""
        loss.backward()

    @torch.no_grad()
    def update_average(self, keep: float = 0.999) -> None:
        """Moves the average, all weights in one call and all buffers in another."""
        pairs: list[nn.Module] = [self.average, self.generator]
        average, current = (list[Tensor](network.parameters()) for network in pairs)
        torch._foreach_lerp_(average, current, 1 - keep)
        buffers, sources = (list(network.buffers()) for network in pairs)
        if buffers:
            torch._foreach_copy_(buffers, sources)

    def scorer(self, labels: Tensor) -> Score:
        """The discriminator for these classes, whose logits are float32 or wider."""
        return lambda samples: self.discriminator(samples, labels).float()

    def autocast(self, allowed: bool = True) -> torch.autocast:
        """bfloat16 where it is asked for and allowed."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.half and allowed)

    def draw(self, player: PlayerName, count: int) -> Tensor:
        """Latents of a player's next update."""
        size = self.generator.latent_dim
        if self.steps >= self.compared:
            return torch.randn(count, size)
        shard, like = Shard(count, 0, count), torch.empty(0)
        return self._seeds.stream(player, self.steps, shard, like).normal(size)


def run(turns: Turns, loop: Loop) -> None:
    """Lets a loop run for ever, in turns."""
    # Lightning has set this for itself when our networks were imported, and it makes every step of
    # Adam ask for GPUs; a loop without Lightning would not have it.
    for name in NOT_INHERITED:
        os.environ.pop(name, None)
    losses: list[list[float]] = []
    while True:
        turns.next()
        bare = loop.step()
        if len(losses) < loop.compared:
            losses.append([float(loss) for loss in bare])
            turns.facts["losses"] = losses


def bare(
    turns: Turns,
    case: str,
    compared: int = 0,
    half: bool = False,
    channels_last: bool = False,
    keeps_memory: bool = False,
) -> None:
    """The side of a plain loop, in a process that keeps the memory it has freed or does not."""
    if keeps_memory:
        keep_freed_memory()
    run(turns, Loop(CASES[case], compared, half, channels_last))


class UnderLightning(LightningModule):
    """A plain loop by Lightning's manual optimization, under a Trainer that does nothing else.

    Args:
        loop: The loop.
        turns: When it runs.
    """

    def __init__(self, loop: Loop, turns: Turns) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.loop, self.turns = loop, turns
        self.generator, self.discriminator = loop.generator, loop.discriminator

    def configure_optimizers(self) -> list[Optimizer]:
        """The loop's."""
        return list(self.loop.optimizers)

    def on_train_start(self) -> None:
        """Lets the loop take the backward pass and the optimizers from Lightning."""
        self.loop.optimizers = self.optimizers()  # type: ignore[assignment]  # with the same calls
        self.loop.backward = self.manual_backward  # type: ignore[method-assign]

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """One step, in turns."""
        self.turns.next()
        self.loop.update(*batch)


def lightning(turns: Turns, case: str, compared: int = 0, channels_last: bool = False) -> None:
    """The side of a plain loop under the Trainer."""
    chosen = CASES[case]
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=-1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = UnderLightning(Loop(chosen, compared, channels_last=channels_last), turns)
    trainer.fit(module, chosen.data(chosen.batch).train_dataloader())


class TakeTurns(GANCallback):
    """Lets a training under the Trainer take its turns.

    Args:
        turns: When it runs.
        compared: Steps whose losses are told.
    """

    def __init__(self, turns: Turns, compared: int = 0) -> None:
        self.turns, self.compared = turns, compared
        self._losses: list[list[float]] = []

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Waits for the first turn."""
        self.turns.next()

    def on_train_batch_end(self, trainer: Trainer, gan: GAN, *_: object) -> None:
        """Ends a step, and waits at the end of a window."""
        if len(self._losses) < self.compared:
            self._losses.append([float(output.loss) for output in gan.outputs])
            self.turns.facts["losses"] = self._losses
        self.turns.next()


def ours(
    turns: Turns, case: str, folder: str, compared: int = 0, half: bool = False, **_: object
) -> None:
    """The side of ours: ``lightning_gan.fit`` with all that it does, and chooses, by itself."""
    chosen = CASES[case]
    torch.manual_seed(0)
    gan = GAN(
        *chosen.networks(),
        objective=chosen.losses.objective(),
        regularizers=chosen.losses.regularizers(),
        max_images=10**12,
    )
    lightning_gan.fit(
        gan,
        chosen.data(chosen.batch),
        folder,
        callbacks=[TakeTurns(turns, compared)],
        accelerator="cpu",
        precision="bf16-mixed" if half else "32-true",
        limit_val_batches=0,
    )
