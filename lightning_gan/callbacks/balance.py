"""Who is winning: the scores, accuracies and gradients of both players."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from lightning_gan.callbacks.run import data_of, of_gan
from lightning_gan.distributed.processes import gathered_ints
from lightning_gan.gan import GAN
from lightning_gan.metrics.balance import DiscriminatorBalance, HeldOutBalance
from lightning_gan.training.step import StepOutput

MOST = 1000
"""Images of training that are scored beside the held-out ones."""


class Balance(Callback):
    """Logs the means and spreads of D(x) and D(G(z)), accuracies, losses and gradient norms.

    It reads the forward passes of training and adds none; nothing is computed between two reports
    beyond keeping the logits. Probabilities are logged only where the objective has them, and
    ``gan/r_t``, the mean sign of the reals' logits, only where a sign means something; raw scores
    always.

    In validation and testing the same numbers come from held-out reals and fresh fakes, under
    ``val/`` and ``test/``, with what only these can tell (see
    :class:`~lightning_gan.metrics.HeldOutBalance`): ``auc``, ``auc_sd``, ``jsd_lower_bound``, and
    ``d_gap_train_val`` from as many images of training as were held out, but at most 1,000, where
    the data module hands out some of its images.

    Args:
        every: Batches between two reports; the Trainer's ``log_every_n_steps`` where None.
    """

    def __init__(self, every: int | None = None) -> None:
        self.every = every
        self.latest: dict[str, float] = {}
        """The last report of training, by the names in the logs."""
        self.held_out: dict[str, float] = {}
        """The last report on held-out data, without its prefix."""
        self._updates: list[StepOutput] = []
        self._held_out_updates: list[StepOutput] = []
        self._clock = (0.0, 0)
        self._due = False
        self._norms: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Starts the clock."""
        self._clock = (time.perf_counter(), of_gan(pl_module).progress.images)

    def on_train_batch_start(
        self,
        trainer: Trainer,
        pl_module: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Asks for gradient norms where a report follows."""
        self._due = self._is_due(trainer, pl_module.progress.batches + 1)

    def on_before_optimizer_step(
        self,
        trainer: Trainer,
        pl_module: Any,  # noqa: ANN401
        optimizer: Any,  # noqa: ANN401
    ) -> None:
        """Measures the norm of a player's gradient, before it is clipped."""
        if not self._due and pl_module.gradient_clip is None:
            return
        player = pl_module.player_of(optimizer)
        norms = [p.grad.norm() for p in pl_module.weights_of(player) if p.grad is not None]
        self._norms[player] = torch.stack(norms).norm().detach()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: Any,  # noqa: ANN401
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Keeps the updates of the batch, and reports where it is time."""
        self._updates += pl_module.outputs
        if not self._is_due(trainer, pl_module.progress.batches) or not self._updates:
            return
        report = self._report(trainer, pl_module)
        report.update(self._progress(pl_module))
        report.update(_states(pl_module))
        for player, norm in self._norms.items():
            report[f"gradient_norm/{player}"] = float(norm)
        self.latest = report
        self._updates = []
        for logger in trainer.loggers:
            logger.log_metrics(report, step=pl_module.progress.batches)
            logger.save()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: Any,  # noqa: ANN401
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps the scores of a held-out batch."""
        self._held_out_updates += pl_module.outputs

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Starts anew."""
        self._held_out_updates = []

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Reports on held-out data."""
        if trainer.sanity_checking:
            return
        report = _held_out(trainer, pl_module, self._held_out_updates)
        self._held_out_updates = []
        if not report.get("n"):
            return
        self.held_out = report
        stage = "test" if trainer.testing else "val"
        logged = {f"{stage}/{name}": value for name, value in report.items()}
        pl_module.log_dict(logged, sync_dist=True)  # equal everywhere; Lightning warns without it

    on_test_batch_end = on_validation_batch_end
    on_test_epoch_start = on_validation_epoch_start
    on_test_epoch_end = on_validation_epoch_end

    def _is_due(self, trainer: Trainer, batches: int) -> bool:
        return batches % (self.every or trainer.log_every_n_steps) == 0  # type: ignore[attr-defined]

    def _report(self, trainer: Trainer, gan: GAN) -> dict[str, float]:
        report = _balance(gan, [u for u in self._updates if u.real_logits is not None])
        means: dict[str, list[Tensor]] = {}
        for update in self._updates:
            means.setdefault(f"loss/{update.player}", []).append(update.loss)
            for name, term in update.terms.items():
                means.setdefault(f"penalty/{name}", []).append(term)
        values = torch.stack([torch.stack(losses).mean() for losses in means.values()])
        values = trainer.strategy.reduce(values, reduce_op="mean")
        return report | dict(zip(means, values.tolist(), strict=True))

    def _progress(self, gan: GAN) -> dict[str, float]:
        now, images = time.perf_counter(), gan.progress.images
        before, images_before = self._clock
        self._clock = (now, images)
        optimizers = gan.optimizers()
        assert isinstance(optimizers, list)
        rates = [optimizer.param_groups[0]["lr"] for optimizer in optimizers]
        return {
            "progress/images": images,
            "progress/discriminator_updates": gan.progress.discriminator_updates,
            "progress/generator_updates": gan.progress.generator_updates,
            "progress/images_per_second": (images - images_before) / (now - before),
            "learning_rate/discriminator": rates[0],
            "learning_rate/generator": rates[1],
        }


def _states(gan: GAN) -> dict[str, float]:
    """What objective, regularizers and augmentation adapt, such as BEGAN's k; equal everywhere."""
    adaptive: list[nn.Module | None] = [gan.objective, gan.regularizers, gan.augmentation]
    return {
        f"state/{type(part).__name__}.{name}": float(getattr(part, name))
        for whole in adaptive
        if whole is not None
        for part in whole.modules()  # inside wrappers and lists too
        for name in getattr(part, "logged", ())
    }


def _balance(gan: GAN, updates: list[StepOutput]) -> dict[str, float]:
    """The balance over several updates of the discriminator, on all processes."""
    if not updates:  # on no process then, since all move in step
        return {}
    metric = DiscriminatorBalance().to(gan.device)
    real = torch.cat([u.real_logits for u in updates if u.real_logits is not None])
    fake = torch.cat([update.fake_logits for update in updates])
    metric.update(real, fake, *(gan.objective.probability(real, fake) or ()))
    values = {name: float(value) for name, value in metric.compute().items()}
    if not gan.objective.has_sign:
        del values["gan/r_t"]
    return values


def _held_out(trainer: Trainer, gan: GAN, updates: list[StepOutput]) -> dict[str, float]:
    """The balance on held-out data, on all processes, some of which may have scored nothing."""
    none = torch.zeros(0, device=gan.device)
    real = torch.cat([none, *(u.real_logits for u in updates if u.real_logits is not None)])
    fake = torch.cat([none, *(update.fake_logits for update in updates)])
    count = sum(gathered_ints(len(real), gan.device)) * gan.discriminator.pack
    objective = gan.objective
    metric = HeldOutBalance(objective.probability, single=not objective.relative).to(gan.device)
    metric.update(real, fake, _of_training(trainer, gan, min(count, MOST)))
    return {name.removeprefix("gan/"): float(value) for name, value in metric.compute().items()}


def _of_training(trainer: Trainer, gan: GAN, count: int) -> Tensor | None:
    """Logits of so many images of training, over all processes, scored as held-out ones are."""
    some = getattr(data_of(trainer), "some", None)
    if some is None or not count:
        return None
    precision = trainer.precision_plugin
    with precision.val_step_context():
        batches = enumerate(map(precision.convert_input, some("train", count)))
        return torch.cat([gan.validation_logits(batch, number) for number, batch in batches])
