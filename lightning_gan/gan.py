"""The one training module: two players, one step."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_gan.augment import Augmentation
from lightning_gan.basics.plain import Plain
from lightning_gan.basics.precision import outside_autocast
from lightning_gan.basics.randomness import Shard
from lightning_gan.checkpoints import identity, record, schedule
from lightning_gan.checkpoints.compiled import CompiledInPlace
from lightning_gan.checkpoints.loading import build_model
from lightning_gan.checkpoints.parts import MakeOptimizer, Part, describe
from lightning_gan.checkpoints.plugin import write_whole_files
from lightning_gan.checkpoints.warm_start import warm_start
from lightning_gan.distributed import processes
from lightning_gan.distributed.strategy import GANStrategy, check_strategy
from lightning_gan.errors import above, at_least, below, check_range, required, whole
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.layers import copy_of
from lightning_gan.networks.layout import lay_out
from lightning_gan.objectives import Objective
from lightning_gan.regularizers import Regularizer
from lightning_gan.training import validation
from lightning_gan.training.averaging import MovingAverage
from lightning_gan.training.batches import Batches
from lightning_gan.training.compiled import CompiledGame
from lightning_gan.training.composition import Composition
from lightning_gan.training.game import Game
from lightning_gan.training.latents import Prior
from lightning_gan.training.optimizers import GANAdam, drop_gradients, follow_curves, frozen
from lightning_gan.training.players import Player
from lightning_gan.training.sampling import Labels, Sampling, class_indices, class_names_in
from lightning_gan.training.schedule import (
    PLAYERS,
    Alternation,
    Curve,
    PerBatch,
    PlayerName,
    Progress,
    UpdateCounts,
)
from lightning_gan.training.step import StepOutput


class GAN(CompiledInPlace, Part, LightningModule):
    """A generator and a discriminator that move in turns.

    Each update freezes the other player, so that the generator learns only through the frozen
    discriminator. Every random number is a function of the seed, the update and the place in the
    global batch, so that k processes compute what one does.

    Args:
        generator: From latents to samples.
        discriminator: From samples to logits.
        objective: The two losses.
        regularizers: Penalties, auxiliary tasks, constraints and moves of latents, in this order.
        alternation: Whose turn it is; one update each with every batch where None.
        augmentation: What happens to samples before the discriminator sees them; nothing if None.
        prior: What latents are drawn from; standard normal numbers if None.
        generator_optimizer: Makes the generator's optimizer from its parameters.
        discriminator_optimizer: Makes the discriminator's; the two rates may differ (TTUR, Heusel
            et al. 2017).
        learning_rate: Factor of both learning rates as a function of the images seen; `GANAdam`
            has one of its own for each player.
        ema_half_life: Half-life, in images, of the average of the generator's weights that samples
            are drawn from; 0 for no averaging.
        ema_rampup: Early on the half-life is at most this share of the images seen; 0 for no
            averaging at all.
        gradient_clip: Largest norm of a player's gradient; None for no clipping.
        generator_clip: The same for the generator alone, in its place.
        discriminator_clip: The same for the discriminator alone.
        accumulate: Pieces that each batch is worked through in, for batches larger than memory.
        max_images: Budget; training stops once so many images have been seen.
        validate_every: Images between two validations, whatever the epochs; 0 for as many as make
            them a small share of the time, None for the Trainer's own schedule.
        warm_start: Checkpoint, run or export whose players a new run begins with, for fine-tuning,
            as far as they fit, or ``pretrained:NAME``; None for new weights.
        sync_batch_norm: Whether batch norm is over the batch of all processes, as one process
            would have it; otherwise each standardises by its own samples.
        channels_last: Whether maps lie in memory as (N, H, W, C); where it pays if None.
        compile: Whether updates are compiled, penalties included (torch 2.14).
        seed: Seed of every random number that training draws.

    Raises:
        ConfigurationError: If parts do not fit together, with the reason and the mend.

    Example:
        >>> from lightning_gan.networks import MLPDiscriminator, MLPGenerator
        >>> from lightning_gan.objectives import NonSaturating
        >>> gan = GAN(MLPGenerator(2, 0), MLPDiscriminator(2, 0), NonSaturating())
        >>> gan.sample(3, seed=1).shape  # three points in the plane
        torch.Size([3, 2])
        >>> gan.hparams.ema_half_life
        10000
    """

    allow_changes: bool = False
    """Whether a checkpoint of a run that is another one than this may be gone on from."""

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        objective: Objective,
        regularizers: list[Regularizer] | None = None,
        alternation: Alternation | None = None,
        augmentation: Augmentation | None = None,
        prior: Prior | None = None,
        generator_optimizer: MakeOptimizer = GANAdam,
        discriminator_optimizer: MakeOptimizer = GANAdam,
        learning_rate: Curve | None = None,
        ema_half_life: float | Curve = 10_000,
        ema_rampup: float = 0.05,
        gradient_clip: float | None = None,
        generator_clip: float | None = None,
        discriminator_clip: float | None = None,
        accumulate: int = 1,
        max_images: int | None = None,
        validate_every: int | None = None,
        warm_start: str | None = None,
        sync_batch_norm: bool = False,
        channels_last: bool | None = None,
        compile: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        # Lightning would step one optimizer with one loss; here two players take turns.
        self.automatic_optimization = False
        check_range("GAN", at_least(1), accumulate=accumulate, max_images=max_images)
        check_range("GAN", at_least(0), ema_half_life=ema_half_life, ema_rampup=ema_rampup)
        check_range("GAN", at_least(0), validate_every=validate_every)
        max_images = whole("GAN", "max_images", max_images)
        validate_every = whole("GAN", "validate_every", validate_every)
        accumulate, seed = whole("GAN", "accumulate", accumulate), whole("GAN", "seed", seed)
        check_range("GAN", at_least(-(2**63)), below(2**63), seed=seed)
        check_range("GAN", above(0), gradient_clip=gradient_clip)
        check_range("GAN", above(0), generator_clip=generator_clip)
        check_range("GAN", above(0), discriminator_clip=discriminator_clip)
        how = augmentation, prior or Prior(), accumulate, sync_batch_norm, compile
        parts = Composition(generator, discriminator, objective, regularizers or [], *how)
        self.generator = generator
        self.discriminator = discriminator
        self.objective = objective
        self.regularizers = nn.ModuleList(regularizers or [])
        self.alternation = alternation or PerBatch()
        self.augmentation = augmentation
        self.prior = parts.prior
        makers = (discriminator_optimizer, generator_optimizer)
        self.make_optimizer = dict(zip(PLAYERS, makers, strict=True))
        self.learning_rate = learning_rate
        self.ema_half_life = ema_half_life
        self.ema_rampup = ema_rampup
        own = zip(PLAYERS, (discriminator_clip, generator_clip), strict=True)
        self.clip = {name: gradient_clip if clip is None else clip for name, clip in own}
        self.max_images = max_images
        self.validate_every = validate_every
        self.warm_start = warm_start
        self.channels_last = channels_last
        self.progress = Progress()
        self.images_validated = 0
        """Images that had been seen at the last validation in the course of training."""
        self.class_names: tuple[str, ...] = ()
        """Names of the data's classes, by number, once the data or a checkpoint has said them."""
        self.validation_due: schedule.Due = ""
        """What the validation after the last batch is due by, or was."""
        self.changes: dict[str, list[Plain]] = {}
        """What a resumed run does otherwise than before, as in ``changes`` of identities."""
        self.outputs: list[StepOutput] = []
        """What the updates of the last batch showed, for callbacks to read."""
        parts.attach()
        # Not a module: it holds the parts that this model has registered by their own names.
        self.game = (CompiledGame if compile else Game)(parts, seed)
        self.generator_ema = copy_of(generator).requires_grad_(False)
        self.average = MovingAverage(self.generator_ema, generator)
        # The one record of how this model was built: for checkpoints, loggers and hparams.
        self.save_hyperparameters(describe(self)["init_args"])

    # ------------------------------------------------------------------------------- the step

    def training_step(self, batch: object, batch_idx: int) -> None:
        """Lets the players whose turn it is move once or more.

        Args:
            batch: Samples (N, C, H, W) in [-1, 1] or points (N, D), and class indices (N,) where
                there are classes.
            batch_idx: Index in the epoch.
        """
        real, labels = self.batches.pair(batch, "training")
        self.outputs = []
        # One of each as a rule. With k critic updates the generator waits for every k-th batch, so
        # that each critic update has fresh reals; in phases one player moves for whole epochs.
        counts = UpdateCounts(*self.alternation.updates(self.progress.batches, self._epoch()))
        for _ in range(counts.discriminator):
            self._update(self.game.discriminator, real, labels)
        for _ in range(counts.generator):
            self._update(self.game.generator, real, labels)
        # Everything that moves in time is counted in images, which no choice of devices changes.
        self.progress.count_batch(len(real) * self.trainer.world_size)
        if counts.generator:
            self.average.follow(self.progress.images, self.ema_half_life, self.ema_rampup)
        self._stop_if_spent()
        self.validation_due = self._due()

    def _update(self, player: Player, real: Tensor, labels: Tensor) -> None:
        """One update of a player, with the other one frozen."""
        optimizer, foreseen = self.optimizer_of(player.name), self.trainer.optimizers[0]
        other = self.trainer.optimizers[1] if player is self.game.discriminator else foreseen
        outputs: list[StepOutput] = []
        # Frozen, so that no gradient is computed for weights that do not move. The generator's loss
        # still flows through the discriminator, to the samples and on to their maker.
        with frozen(other):
            drop_gradients(optimizer.optimizer)
            place = self.trainer.global_rank, self.trainer.world_size
            due = player.due(self.progress.updates(player.name))
            # Each piece has its backward pass before the next is made, so that memory holds one.
            for step in self.game.steps(player, real, labels, self.progress, *place, foreseen):
                loss, output = self.game.loss(step, due)
                outputs.append(output)
                if step.is_last and isinstance(self.trainer.strategy, GANStrategy):
                    # Gradients are then averaged over processes while others are still computed.
                    self.trainer.strategy.last_backward_comes(optimizer.optimizer)
                # One backward pass for loss and penalties; pieces add up to the batch's mean.
                # Outside autocast, under which second derivatives of penalties would lose bits.
                share = len(step.real) / len(real)
                with outside_autocast(self.device):
                    self.manual_backward(loss if share == 1 else loss * share)
        self._step_optimizer(player.name, optimizer)
        self.progress.count_update(player.name)
        # After the step, so that constraints act on the weights that the player goes on with; what
        # the parts look at is the last piece.
        self.game.observe(step, outputs)
        self.outputs += outputs

    def _step_optimizer(self, player: PlayerName, optimizer: LightningOptimizer) -> None:
        follow_curves(optimizer.optimizer, self.learning_rate, self.progress.images)
        if player == "generator":
            optimizer.step()
        else:
            # Past Lightning's counter, whose global_step would otherwise count both players.
            self.trainer.strategy.optimizer_step(optimizer.optimizer, lambda: None)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Clips the player's gradient, after it has been unscaled and averaged over processes."""
        player = self.player_of(optimizer)
        if (largest := self.clip[player]) is not None:
            nn.utils.clip_grad_norm_(self.weights_of(player), largest)

    def _stop_if_spent(self) -> None:
        if self.max_images is not None and self.progress.images >= self.max_images:
            self.trainer.should_stop = True

    def _epoch(self) -> int:
        # Lightning's own count errs after some resumes; our data modules count by themselves.
        return int(getattr(self.trainer.train_dataloader, "epoch", self.trainer.current_epoch))

    # ------------------------------------------------------------------------- the optimizers

    def configure_optimizers(self) -> list[Optimizer]:
        """One optimizer for each player, the discriminator's first."""
        game = self.game
        return [game.player(name).make_optimizer(self.make_optimizer[name]) for name in PLAYERS]

    def optimizer_of(self, player: PlayerName) -> LightningOptimizer:
        """A player's optimizer; there is one once training has begun."""
        optimizers = self.optimizers()
        assert isinstance(optimizers, list)
        return optimizers[PLAYERS.index(player)]

    def player_of(self, optimizer: Optimizer) -> PlayerName:
        """Whose optimizer it is."""
        return PLAYERS[self.trainer.optimizers.index(optimizer)]

    def weights_of(self, player: PlayerName) -> list[nn.Parameter]:
        """A player's weights; those of objective and regularizers are the discriminator's."""
        return list(self.game.player(player).weights.parameters())

    # ------------------------------------------------------------------------- held-out data

    def on_train_batch_end(self, *_: object) -> None:
        """Lets the Trainer validate after this batch where it is due, and after the last one."""
        if self.trainer.should_stop:  # as a callback may have said
            self.validation_due = self._due()
        if self.validate_every is not None:
            schedule.plan(self.trainer, self.validation_due)

    def _due(self) -> schedule.Due:
        seen = self.progress.images, self.images_validated
        return schedule.due_by(self.trainer, self.validate_every, *seen)

    def validation_step(self, batch: object, batch_idx: int) -> None:
        """Judges held-out reals and as many fakes, for callbacks to read from ``outputs``."""
        real, labels, shard = self._shard(batch)
        images = self.progress.images
        self.outputs = validation.validate(self.game, real, labels, batch_idx, shard, images)

    test_step = validation_step

    def validation_logits(self, batch: object, batch_idx: int) -> Tensor:
        """Logits of other reals, judged as held-out ones are; all processes must ask for them.

        Args:
            batch: Samples (N, C, H, W) or (N, D), N being 0 or more, and class indices (N,).
            batch_idx: Number of the batch.
        """
        real, labels, shard = self._shard(batch)
        return validation.validation_logits(self.game, real, labels, batch_idx, shard)

    def _shard(self, batch: object) -> tuple[Tensor, Tensor, Shard]:
        """Whole packs, and where they stand: a last batch may be shared out unevenly."""
        pair = self.batches.pair(batch, "held-out data")
        real, labels = validation.trim_to_packs(self.discriminator, *pair)
        # All processes have to ask: the exchange below is one of all, even where one has nothing.
        counts = processes.gathered_ints(len(real), real.device)
        first = sum(counts[: self.trainer.global_rank])
        return real, labels, Shard(sum(counts), first, len(real))

    # ------------------------------------------------------------------------------- samples

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples of the averaged generator from standard normal numbers (N, latent_dim).

        The prior makes latents of them. Labels are class indices (N,), asked for if it has classes.
        """
        return self.generator_ema.eval()(self.prior(z), labels)

    def sample(
        self,
        count: int,
        labels: Labels = None,
        seed: int = 0,
        truncation: float | None = None,
        psi: float | None = None,
    ) -> Tensor:
        """Draws samples from the averaged generator; sample i of a seed is always the same.

        Args:
            count: Number of samples.
            labels: Class indices (count,), or one class, by number or name, for all samples, or a
                list of such; drawn uniformly where None.
            seed: Seed of latents, classes and noise. A second call needs another one, or it draws
                the same samples again.
            truncation: Largest absolute value of a latent's entries, which are then drawn from the
                normal distribution cut off there (Brock et al. 2019, section 3.1); None for no cut.
            psi: What is left of a style's distance from the average style, for generators with
                styles (Karras et al. 2019, appendix B); None for all of it.

        Returns:
            Images (count, C, H, W) in [-1, 1] or points (count, D), on the model's device.

        Raises:
            ConfigurationError: If a number is out of range, or there are no such classes or styles.
        """
        check_range("sample", at_least(1), count=count)
        count = required("sample", "count", count)
        sampling = Sampling(seed, truncation, psi)
        own = class_indices(labels, count, self.generator.num_classes, self.class_names)
        return torch.cat([*sampling.first(self.generator_ema, self.prior, count, own)])

    # ------------------------------------------------------------------- the run, checkpoints

    def configure_callbacks(self) -> list[Callback]:
        """Says whose schedule validations have before callbacks are set up, and adds none."""
        if self.validate_every is not None and self.trainer.state.fn == TrainerFn.FITTING:
            schedule.take_over(self.trainer)
        return []

    def setup(self, stage: str) -> None:
        """Checks that the data fit the networks; a model that was sampled from trains again."""
        # Lightning restores modes, but sampling beforehand has left the whole model in evaluation.
        self.train(stage == "fit")
        check_strategy(self.trainer)
        write_whole_files(self.trainer)
        # Before a checkpoint is restored, whose numbers would be rounded in narrower weights.
        self.trainer.strategy.precision_plugin.convert_module(self)
        data = getattr(self.trainer, "datamodule", None)
        self.game.parts.check_run(data, self.trainer.precision)
        if stage == "fit":
            self.game.parts.check_training(self.trainer.precision)
        self.batches = Batches(self.generator, data, self.game.parts.least)
        if self.validate_every == 0:
            self.validate_every = schedule.images_between(data)
        # The average that samples are drawn from keeps its layout, and samples their bits.
        how = self.trainer.strategy.root_device, self.trainer.precision, self.channels_last
        lay_out((self.generator, self.discriminator), *how)

    def on_fit_start(self) -> None:
        """Learns the classes' names; gives a fresh run the players of another one, where asked."""
        self.class_names = class_names_in(identity.setting_of(self.trainer)) or self.class_names
        if self.warm_start is not None and self.progress.batches == 0:
            players = {name: getattr(self, name) for name in (*PLAYERS, "generator_ema")}
            self.average.images_before = warm_start(players, self.warm_start)

    def on_train_start(self) -> None:
        """Ends a training whose budget was spent before; makes up for a validation that was due."""
        self._stop_if_spent()
        if self.validate_every is not None:
            self.validation_due = self._due()
        schedule.make_up(self.trainer, self.validation_due)

    def on_validation_start(self) -> None:
        """Gives all processes the same statistics of batch norm, those that are saved."""
        processes.share_buffers(self)
        if not self.trainer.sanity_checking:
            self.images_validated = self.progress.images

    on_test_start = on_validation_start

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the progress; Lightning adds weights, optimizers and ``hparams``.

        Raises:
            DivergenceError: If a weight is NaN or infinite, so that no good checkpoint is
                overwritten by a bad one.
        """
        record.check_finite(self.named_parameters(), self.progress.images)
        counts = self.average.images, self.average.images_before, self.images_validated
        state = record.state_of(self.progress, *counts, self.trainer)
        due = "" if self.images_validated == self.progress.images else self.validation_due
        checkpoint[record.KEY] = state | {"validation_due": due}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes up the progress, after checking that the checkpoint fits.

        Raises:
            WeightsError: If it was made by something else, or with other networks, or is of another
                run that this training must not go on with.
        """
        players = {player: self.hparams.get(player) for player in PLAYERS}
        state = record.fitting_state(checkpoint, players, self.state_dict(), self.training)
        before = identity.identity_of(checkpoint[record.ARGUMENTS], state.get("setting", {}))
        now = identity.identity_of(self.hparams, identity.setting_of(self.trainer))
        found = identity.changes(before, now)
        if not self.training:
            identity.warn_of_other_data(found)
        else:
            self.changes = found
            if not self.allow_changes:
                identity.refuse_changes(self.changes)
            identity.take_over_optimizers(checkpoint, self.changes, self.configure_optimizers())
            identity.warn_if_moved(state.get("environment"))
        self.take_up(state)

    def take_up(self, state: dict[str, Plain]) -> None:
        """Goes on from the progress of a checkpoint."""
        self.progress = Progress(**state["progress"])
        self.class_names = class_names_in(state.get("setting")) or self.class_names
        self.average.images = state["images_in_average"]
        self.average.images_before = state.get("images_before", 0)
        self.images_validated = state.get("images_validated", 0)
        self.validation_due = state.get("validation_due", "")

    @classmethod
    def load_from_checkpoint(  # type: ignore[override]  # nothing else is needed to build it
        cls,
        checkpoint_path: str | Path,
        map_location: str | torch.device = "cpu",
        generator: Generator | None = None,
        discriminator: Discriminator | None = None,
    ) -> "GAN":
        """Builds the GAN of a checkpoint with all that it was built with, ready to sample from.

        Parts defined outside this package must be imported first. No code of the file is run.

        Args:
            checkpoint_path: A checkpoint written during ``fit``, the folder of a run, an export, or
                ``pretrained:NAME`` for a model that comes with the package.
            map_location: Device to put it on.
            generator: In the place of the file's, which cannot be built if it was made by ``wrap``.
            discriminator: Likewise.

        Raises:
            WeightsError: If the file is missing, damaged, unsafe, or not a checkpoint of a GAN.
        """
        given = {"generator": generator, "discriminator": discriminator}
        model, state = build_model(cls, checkpoint_path, map_location, given)
        model.take_up(state)
        return model


load = GAN.load_from_checkpoint
"""The GAN of a checkpoint or of the folder of a run."""
