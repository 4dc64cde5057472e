"""The one training module: two players, one step."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.alternation import Alternation, PerBatch
from lightning_gan.augment import Augmentation
from lightning_gan.average import follow
from lightning_gan.batch import ScoredBatch, scorer
from lightning_gan.checkpoint import check_finite, fitting_state
from lightning_gan.checkpoint_io import epoch_of, made_by, warn_if_moved, write_whole_files
from lightning_gan.compatibility import check_data, check_numbers, check_parts, check_precision
from lightning_gan.curves import Curve, value_at
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.layers import batch_statistics
from lightning_gan.noise import Noise, Rows, hashed_seed, latents
from lightning_gan.objectives import Objective
from lightning_gan.optimizers import GANAdam
from lightning_gan.parts import describe
from lightning_gan.progress import PLAYERS, Player, Progress, Update
from lightning_gan.regularizers import Regularizer
from lightning_gan.strategy import on_all_processes, share_buffers

Batch = tuple[Tensor, Tensor]
PARTS = (*PLAYERS, "objective", "regularizers", "alternation", "augmentation", "learning_rate")


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
        generator_optimizer: Callable[[Iterable[Tensor]], Optimizer] = lambda p: GANAdam(p),
        discriminator_optimizer: Callable[[Iterable[Tensor]], Optimizer] = lambda p: GANAdam(p),
        learning_rate: Curve | None = None,
        ema_half_life: float = 10_000,
        ema_rampup: float = 0.05,
        gradient_clip: float | None = None,
        accumulate: int = 1,
        max_images: int | None = None,
        channels_last: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = generator
        self.discriminator = discriminator
        self.generator_ema = copy.deepcopy(generator).requires_grad_(False)
        self.objective = objective
        self.regularizers = list(regularizers or [])
        self.alternation = alternation or PerBatch()
        self.augmentation = augmentation
        self._make_optimizer = (discriminator_optimizer, generator_optimizer)
        self.learning_rate = learning_rate
        self.ema_half_life = ema_half_life
        self.ema_rampup = ema_rampup
        self.gradient_clip = gradient_clip
        self.accumulate = accumulate
        self.max_images = max_images
        self.channels_last = channels_last
        self.progress = Progress()
        self.updates: list[Update] = []
        self.measure_gradients = False
        self.gradient_norms: dict[Player, Tensor] = {}
        self._noise = Noise(seed)
        self.images_in_average = 0
        positive = {"accumulate": accumulate, "max_images": max_images}
        not_negative = {"ema_half_life": ema_half_life, "ema_rampup": ema_rampup}
        check_numbers(positive, not_negative | {"gradient_clip": gradient_clip})
        check_parts(generator, discriminator, self.objective, self.regularizers)

    # ---------------------------------------------------------------------------- training

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
        update = self.progress.updates(player)
        with self.toggled_optimizer(optimizer):
            optimizer.zero_grad()
            for piece in self._pieces(player, update, real, labels):
                loss = self._loss(player, update, piece)
                self.manual_backward(loss * (len(piece.real) / len(real)))
        self._step(player, optimizer)
        self.progress.moved(player)
        if player == "discriminator":
            for regularizer in self.regularizers:
                regularizer.constrain(self.discriminator)

    def _pieces(
        self, player: Player, update: int, real: Tensor, labels: Tensor
    ) -> Iterator[ScoredBatch]:
        """The batch with as many fakes, in ``accumulate`` pieces."""
        by_input: set[str] = set()
        if player == "discriminator":
            by_input.update(*(regularizer.differentiates for regularizer in self._due(update)))
        size = -(-len(real) // self.accumulate)
        for first in range(0, len(real), size):
            reals, classes = real[first : first + size], labels[first : first + size]
            before = len(real) * self.trainer.global_rank + first
            rows = Rows(len(real) * self.trainer.world_size, before, len(reals))
            draws = self._noise.draws(player, update, rows, like=real)
            z = draws.normal(self.generator.latent_dim)
            with nullcontext() if player == "generator" else torch.no_grad():
                fakes = self.generator(z, classes).to(real.dtype)
            if "real" in by_input:
                reals = reals.detach().requires_grad_()
            if "fake" in by_input:
                fakes = fakes.requires_grad_()
            images = self.progress.images
            score = scorer(self.discriminator, self.augmentation, draws, images, bool(by_input))
            yield ScoredBatch(score, reals, fakes, classes, draws, images)

    def _loss(self, player: Player, update: int, batch: ScoredBatch) -> Tensor:
        """The player's loss with the terms that are due."""
        bare: Tensor = getattr(self.objective, f"{player}_loss")(batch)
        loss = bare
        terms = {}
        for regularizer in self._due(update):
            term = getattr(regularizer, f"{player}_term")(batch)
            if term is not None:
                loss = loss + regularizer.factor(batch.images_seen) * term
                terms[type(regularizer).__name__] = term.detach()
        real_logits = batch.real_logits.detach() if player == "discriminator" else None
        self.updates.append(
            Update(player, bare.detach(), real_logits, batch.fake_logits.detach(), terms)
        )
        return loss

    def _due(self, update: int) -> list[Regularizer]:
        return [regularizer for regularizer in self.regularizers if regularizer.is_due(update)]

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
        parameters = list(getattr(self, self._mover).parameters())
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
            parameters = [p for p in getattr(self, player).parameters() if p.requires_grad]
            optimizer = make(parameters)
            for group in optimizer.param_groups:
                group["initial_lr"] = group["lr"]
            made.append(optimizer)
        return made

    def _optimizer(self, player: Player) -> LightningOptimizer:
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        return optimizers[PLAYERS.index(player)]

    # -------------------------------------------------------------------------- evaluation

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Scores held-out reals and as many fakes, for callbacks to read from ``updates``."""
        real, labels = batch
        # The last batch of a split may be shared out unevenly.
        counts = on_all_processes(len(real), real.device)
        rows = Rows(sum(counts), sum(counts[: self.trainer.global_rank]), len(real))
        draws = self._noise.draws("held-out", batch_idx, rows, like=real)
        fake = self.generator(draws.normal(self.generator.latent_dim), labels).to(real.dtype)
        batch_ = ScoredBatch(self.discriminator, real, fake, labels, draws, self.progress.images)
        with batch_statistics(self.discriminator) if len(real) > 1 else nullcontext():
            loss = self.objective.discriminator_loss(batch_)
        self.updates = [Update("discriminator", loss, batch_.real_logits, batch_.fake_logits)]

    test_step = validation_step

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples of the averaged generator, in evaluation mode, from latents (N, latent_dim)."""
        if labels is None:
            labels = torch.zeros(len(z), dtype=torch.long, device=z.device)
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

    # ------------------------------------------------------------------------- life cycle

    def setup(self, stage: str) -> None:
        """Checks that the data fit the networks; a model that was sampled from trains again."""
        self.train(stage == "fit")
        write_whole_files(self.trainer)
        check_data(self.generator, getattr(self.trainer, "datamodule", None))
        check_precision(self.trainer.precision, self.regularizers)
        if self.channels_last and self.generator.image_size:
            self.to(memory_format=torch.channels_last)

    def on_train_start(self) -> None:
        """Ends a resumed training at once whose budget was spent before."""
        self._stop_if_spent()

    def on_validation_start(self) -> None:
        """Gives all processes the same statistics of batch norm, those that are saved."""
        share_buffers(self)

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
