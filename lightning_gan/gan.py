"""The one training module: two players, one step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.augment import Augmentation
from lightning_gan.checkpoints.files import check_finite, fitting_state, own_state, read_checkpoint
from lightning_gan.checkpoints.loading import warm_start
from lightning_gan.checkpoints.parts import build, describe
from lightning_gan.checkpoints.plugin import epoch_of, made_by, warn_if_moved, write_whole_files
from lightning_gan.distributed import strategy
from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.objectives import Objective
from lightning_gan.regularizers import Regularizer
from lightning_gan.training.composition import Composition, check_numbers
from lightning_gan.training.game import Game, Turn
from lightning_gan.training.latents import Prior
from lightning_gan.training.optimizers import GANAdam, correct_for_laziness, follow
from lightning_gan.training.progress import PLAYERS, Player, Progress, Update
from lightning_gan.training.randomness import Noise, Rows, hashed_seed, latents
from lightning_gan.training.schedule import Alternation, Curve, PerBatch, value_at

Batch = tuple[Tensor, Tensor]
PARTS = (
    *PLAYERS,
    "objective",
    "regularizers",
    "alternation",
    "augmentation",
    "prior",
    "learning_rate",
)


class GAN(LightningModule):
    """A generator and a discriminator that move in turns.

    Each update freezes the other player, so that the generator learns only through the frozen
    discriminator. Every random number is a function of the seed, the update and the place in the
    global batch, so that k processes compute what one does.

    Args:
        generator: From latents to samples.
        discriminator: From samples to logits.
        objective: The two losses.
        regularizers: Terms added to the losses, or constraints after a step.
        alternation: Whose turn it is; one update each with every batch where None.
        augmentation: What happens to samples before the discriminator sees them; nothing if None.
        prior: What latents are drawn from; standard normal numbers if None.
        generator_optimizer: Makes the generator's optimizer from its parameters.
        discriminator_optimizer: Makes the discriminator's; the two rates may differ (TTUR, Heusel
            et al. 2017).
        learning_rate: Factor of both learning rates as a function of the images seen.
        ema_half_life: Half-life, in images, of the average of the generator's weights that samples
            are drawn from; 0 for no averaging.
        ema_rampup: Early on the half-life is at most this share of the images seen.
        gradient_clip: Largest norm of a player's gradient; None for no clipping.
        accumulate: Pieces that each batch is worked through in, for batches larger than memory.
        max_images: Budget; training stops once so many images have been seen.
        warm_start: Checkpoint whose players a new run begins with, for fine-tuning; None for new
            weights.
        sync_batch_norm: Whether batch norm is over the batch of all processes, as one process
            would have it; otherwise each standardises by its own samples.
        channels_last: Whether images are laid out in memory as (N, H, W, C).
        seed: Seed of every random number that training draws.

    Raises:
        ConfigurationError: If parts do not fit together, with the reason and the mend.
    """

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        objective: Objective,
        regularizers: list[Regularizer] | None = None,
        alternation: Alternation | None = None,
        augmentation: Augmentation | None = None,
        prior: Prior | None = None,
        generator_optimizer: Callable[[Iterable[Tensor]], Optimizer] = lambda p: GANAdam(p),
        discriminator_optimizer: Callable[[Iterable[Tensor]], Optimizer] = lambda p: GANAdam(p),
        learning_rate: Curve | None = None,
        ema_half_life: float = 10_000,
        ema_rampup: float = 0.05,
        gradient_clip: float | None = None,
        accumulate: int = 1,
        max_images: int | None = None,
        warm_start: str | None = None,
        sync_batch_norm: bool = False,
        channels_last: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.objective = objective
        self.regularizers = nn.ModuleList(regularizers or [])
        self.alternation = alternation or PerBatch()
        self.augmentation = augmentation
        self.prior = prior
        self._make_optimizer = (discriminator_optimizer, generator_optimizer)
        self.learning_rate = learning_rate
        self.ema_half_life = ema_half_life
        self.ema_rampup = ema_rampup
        self.gradient_clip = gradient_clip
        self.accumulate = accumulate
        self.max_images = max_images
        self.warm_start = warm_start
        self.channels_last = channels_last
        self.progress = Progress()
        self.updates: list[Update] = []
        self.measure_gradients = False
        self.gradient_norms: dict[Player, Tensor] = {}
        self.images_in_average = 0
        positive = {"accumulate": accumulate, "max_images": max_images}
        not_negative = {"ema_half_life": ema_half_life, "ema_rampup": ema_rampup}
        check_numbers(positive, not_negative | {"gradient_clip": gradient_clip})
        players = (generator, discriminator, objective, list(regularizers or []))
        parts = Composition(*players, augmentation, prior, accumulate, sync_batch_norm)
        parts.attach()
        self._game = Game(parts, Noise(seed))
        self.generator_ema = copy.deepcopy(generator).requires_grad_(False)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Lets the players whose turn it is move once or more.

        Args:
            batch: Samples (N, C, H, W) in [-1, 1] or points (N, D), and class indices (N,).
            batch_idx: Index in the epoch.
        """
        real, labels = batch
        if self.channels_last and real.ndim == 4:
            real = real.contiguous(memory_format=torch.channels_last)
        self.updates.clear()
        moves = self.alternation.moves(self.progress.batches, epoch_of(self.trainer))
        for _ in range(moves.discriminator):
            self._move("discriminator", real, labels)
        for _ in range(moves.generator):
            self._move("generator", real, labels)
        self.progress.saw(len(real) * self.trainer.world_size)
        if moves.generator:
            self._average()
        self._stop_if_spent()

    def _stop_if_spent(self) -> None:
        if self.max_images is not None and self.progress.images >= self.max_images:
            self.trainer.should_stop = True

    def _move(self, player: Player, real: Tensor, labels: Tensor) -> None:
        """One update of ``player``, with the other one frozen."""
        optimizer = self._optimizer(player)
        seen, place = self.progress, (self.trainer.global_rank, self.trainer.world_size)
        rule = self._optimizer("discriminator").optimizer
        turn = Turn(player, seen.updates(player), seen.images, *place, rule)
        before = len(self.updates)
        with self.toggled_optimizer(optimizer):
            optimizer.zero_grad()
            for batch in self._game.batches(turn, real, labels):
                loss, update = self._game.loss(turn, batch)
                self.updates.append(update)
                if batch.is_last:
                    strategy.expect_last_backward(self.trainer, optimizer.optimizer)
                self.manual_backward(loss * (len(batch.real) / len(real)))
        self._step(player, optimizer)
        self.progress.moved(player)
        self._game.observe(player, self.updates[before:], batch)

    def _step(self, player: Player, optimizer: LightningOptimizer) -> None:
        """Steps the optimizer; only the generator's steps count as Lightning's global steps."""
        if self.learning_rate is not None:
            factor = value_at(self.learning_rate, self.progress.images)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        self._mover: Player = player
        if player == "generator":
            optimizer.step()
        else:
            self.trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clips and measures the gradient, after it has been unscaled and reduced."""
        if self.gradient_clip is None and not self.measure_gradients:
            return
        parameters = self._weights_of(self._mover)
        if self.gradient_clip is not None:
            norm = nn.utils.clip_grad_norm_(parameters, self.gradient_clip)
        else:
            norms = [p.grad.norm() for p in parameters if p.grad is not None]
            norm = torch.stack(norms).norm()
        self.gradient_norms[self._mover] = norm.detach()

    def _average(self) -> None:
        """Moves the averaged generator towards the generator."""
        images = self.progress.images - self.images_in_average
        half_life = min(self.ema_half_life, self.ema_rampup * self.images_in_average)
        follow(self.generator_ema, self.generator, images, half_life)
        self.images_in_average = self.progress.images

    def configure_optimizers(self) -> list[Optimizer]:
        """One optimizer for each player, the discriminator's first."""
        made = []
        for player, make in zip(PLAYERS, self._make_optimizer, strict=True):
            optimizer = make([p for p in self._weights_of(player) if p.requires_grad])
            lazy = [part.every for part in self._game.parts.regularizers if part.touches(player)]
            correct_for_laziness(optimizer, max(lazy, default=1))
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
            made.append(optimizer)
        return made

    def _weights_of(self, player: Player) -> list[nn.Parameter]:
        """A player's weights; those of objective and regularizers are the discriminator's."""
        if player == "generator":
            return list(self.generator.parameters())
        parts = (self.discriminator, self.objective, self.regularizers)
        return [weight for part in parts for weight in part.parameters()]

    def _optimizer(self, player: Player) -> LightningOptimizer:
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        return optimizers[PLAYERS.index(player)]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Scores held-out reals and as many fakes, for callbacks to read from ``updates``."""
        placed = self._placed(batch, batch_idx)
        self.updates = self._game.held_out(*placed, self.progress.images)

    test_step = validation_step

    def score(self, batch: Batch, batch_idx: int) -> Tensor:
        """Logits of other reals, scored as held-out ones are; all processes must ask for them.

        Args:
            batch: Samples (N, C, H, W) or (N, D), N being 0 or more, and class indices (N,).
            batch_idx: Number of the batch.
        """
        return self._game.score(*self._placed(batch, batch_idx))

    def _placed(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Tensor, int, Rows]:
        """Whole packs, and where they stand: a last batch may be shared out unevenly."""
        real, labels = self._game.whole_packs(*batch)
        counts = strategy.on_all_processes(len(real), real.device)
        before = sum(counts[: self.trainer.global_rank])
        return real, labels, batch_idx, Rows(sum(counts), before, len(real))

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples of the averaged generator, in evaluation mode, from latents (N, latent_dim)."""
        if labels is None:
            labels = torch.zeros(len(z), dtype=torch.long, device=z.device)
        z = z if self.prior is None else self.prior(z)
        samples: Tensor = self.generator_ema.eval()(z, labels)
        return samples

    @torch.no_grad()
    def sample(
        self,
        count: int,
        labels: Tensor | None = None,
        seed: int = 0,
        truncation: float | None = None,
    ) -> Tensor:
        """Draws samples from the averaged generator.

        Args:
            count: Number of samples.
            labels: Class indices (count,); drawn uniformly where None.
            seed: Seed of the latents.
            truncation: Largest absolute value of a latent's entries, which are then drawn from the
                normal distribution cut off there (Brock et al. 2019, section 3.1); None for no cut.

        Returns:
            Images (count, C, H, W) in [-1, 1] or points (count, D), on the model's device.
        """
        random = torch.Generator().manual_seed(hashed_seed(seed, "sample"))
        z = latents(count, self.generator.latent_dim, random, truncation)
        if labels is None:
            labels = torch.randint(max(self.generator.num_classes, 1), (count,), generator=random)
        dtype = next(self.generator_ema.parameters()).dtype
        samples = [
            self(z_.to(self.device, dtype), labels_.to(self.device))
            for z_, labels_ in zip(torch.split(z, 256), torch.split(labels, 256), strict=True)
        ]
        return torch.cat(samples)

    def setup(self, stage: str) -> None:
        """Checks that the data fit the networks; a model that was sampled from trains again."""
        self.train(stage == "fit")
        strategy.check_strategy(self.trainer)
        write_whole_files(self.trainer)
        data = getattr(self.trainer, "datamodule", None)
        self._game.parts.check_run(data, self.trainer.precision)
        if self.channels_last and self.generator.image_size:
            self.to(memory_format=torch.channels_last)

    def on_fit_start(self) -> None:
        """Gives a run that has seen nothing yet the players of another one, where asked for."""
        if self.warm_start and self.progress.batches == 0:
            warm_start(self, self.warm_start)

    def on_train_start(self) -> None:
        """Ends a resumed training at once whose budget was spent before."""
        self._stop_if_spent()

    def on_validation_start(self) -> None:
        """Gives all processes the same statistics of batch norm, those that are saved."""
        strategy.share_buffers(self)

    on_test_start = on_validation_start

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the progress and the parts; refuses to save weights that are not finite.

        Raises:
            DivergenceError: If a weight is NaN or infinite, so that no good checkpoint is
                overwritten by a bad one.
        """
        check_finite(self.named_parameters(), self.progress.images)
        checkpoint["lightning_gan"] = {
            "progress": asdict(self.progress),
            "images_in_average": self.images_in_average,
            "parts": {name: describe(getattr(self, name)) for name in PARTS},
            "made_by": made_by(self.trainer),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up the progress, after checking that the checkpoint fits.

        Raises:
            WeightsError: If it was made by something else, or with other networks.
        """
        players = {player: describe(getattr(self, player)) for player in PLAYERS}
        state = fitting_state(checkpoint, players, self.state_dict(), self.training)
        warn_if_moved(state, self.trainer)
        self.progress = Progress(**state["progress"])
        self.images_in_average = state["images_in_average"]


def load(path: str | Path, map_location: str | torch.device = "cpu") -> GAN:
    """Builds the GAN of a checkpoint, ready to sample from.

    Parts defined outside this package must be imported first. No code of the file is run.

    Args:
        path: A checkpoint written during ``fit``.
        map_location: Device to put it on.

    Raises:
        WeightsError: If the file is missing, damaged, unsafe, or not a checkpoint of a GAN.
    """
    checkpoint = read_checkpoint(path, map_location)
    state = own_state(checkpoint, str(path))
    try:
        parts = {name: build(part) for name, part in state["parts"].items()}
        model = GAN(**parts)
        model.load_state_dict(checkpoint["state_dict"])
        model.progress = Progress(**state["progress"])
        model.images_in_average = state["images_in_average"]
    except (ConfigurationError, WeightsError):
        raise
    except Exception as error:  # whatever a description that was changed makes a part do
        raise WeightsError(
            f"The weights in {path} do not fit the parts that it names "
            f"({type(error).__name__}): take another checkpoint of the run."
        ) from error
    return model.to(map_location).eval()
