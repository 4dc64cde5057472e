"""What generated samples are worth, whenever the Trainer validates or tests."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor
from tqdm.auto import tqdm

from lightning_gan.basics.images import save_png
from lightning_gan.basics.memory import give_back
from lightning_gan.basics.version import versions
from lightning_gan.callbacks.base import (
    GANCallback,
    check_state,
    data_of,
    epoch_of,
    is_dry_run,
    is_fitting,
    run_folder,
)
from lightning_gan.callbacks.measurements import BestDistance, TimeSpent, measurements
from lightning_gan.errors import ConfigurationError, whole
from lightning_gan.evaluation.panel import MEASURES, Measure, Measured, Panel, default_num_samples
from lightning_gan.evaluation.sampling import MeasuredSamples
from lightning_gan.evaluation.stamped_values import StampedValues, circumstances
from lightning_gan.gan import GAN
from lightning_gan.metrics.gathered import FeatureMetric
from lightning_gan.training.batches import split_of
from lightning_gan.training.sampling import BLOCK, Sampling

TRAINING_MEASURES: tuple[Measure, ...] = ("frechet", "neighbours", "modes")


@dataclass(eq=False)
class Evaluation(GANCallback):
    """Measures fresh samples of the averaged generator at every validation and test.

    One pass of generation feeds all measures: ``frechet`` (fid), ``kernel`` (kid), ``neighbours``
    (precision, recall, density, coverage, 1-NN test), ``vendi``, ``score`` (is), ``memorisation``
    (auth, ct), ``duplicates`` (dup) and ``modes``; docs/metrics.md says what each one sees. The
    reals are the training split, whose features are computed once and cached; of plain loaders up
    to 50,000 samples are read. Latents are a
    function of the seed and the sample's number, so that the values depend neither on the number of
    processes nor on the training before, and training is not touched. Each measurement is a line of
    ``evaluations.jsonl`` in the folder of the run, with a stamp of all that the values depend on.

    Args:
        measures: What is measured; where None, ``frechet``, ``neighbours`` and ``modes`` while
            training and all that fit the data in a test.
        extractor: Name of a feature extractor, or import path of a FeatureExtractor class; the
            data's own where None.
        classifier: Likewise what tells classes apart; the extractor where None.
        num_samples: Samples generated for one value, over all processes; where None, 10,000 images,
            26,000 stacked ones, or 2,500 points.
        seed: Seed of the latents.
        averaged: Whether the averaged generator is measured, rather than the one that moves.
        truncation: Largest absolute value of a latent's entries; None for no cut.
        psi: What is left of a style's distance from the average style; None for all of it.
        cache_dir: Where features of the reals are kept; the user's cache folder where None.

    Raises:
        ConfigurationError: If a measure is unknown or a number out of range.
    """

    measures: Sequence[Measure] | None = None
    extractor: str | None = None
    classifier: str | None = None
    num_samples: int | None = None
    seed: int = 0
    averaged: bool = True
    truncation: float | None = None
    psi: float | None = None
    cache_dir: str | None = None

    def __post_init__(self) -> None:
        unknown = set(self.measures or ()) - set(MEASURES)
        if unknown or self.measures == []:
            raise ConfigurationError(
                f"Evaluation: measures={self.measures} must be some of {', '.join(MEASURES)}."
            )
        # Refused here if out of range, not after an epoch.
        self.num_samples = whole(self, "num_samples", self.num_samples)
        MeasuredSamples(2 if self.num_samples is None else self.num_samples)
        self._sampling = Sampling(self.seed, self.truncation, self.psi)
        self._best: BestDistance | None = None
        self._panels: dict[str, Panel] = {}
        """The last panel of each split."""
        self._said: set[str] = set()
        self._clock: _Clock | None = None

    def forget(self) -> None:
        """Forgets the smallest distance of another run."""
        self._best = None

    def on_fit_start(self, trainer: Trainer, gan: GAN) -> None:
        """Starts the clock; says so where nothing will be measured.

        Raises:
            ConfigurationError: If there is one training sample, which nothing compares with.
        """
        self._clock = _Clock()
        if self._best is not None:  # of a run that goes on
            measurements(trainer).best = self._best
        asked = trainer.limit_val_batches and not is_dry_run(trainer)
        data = getattr(trainer, "datamodule", None)
        split = split_of(data)
        if asked and split is not None and len(split("train").images) < FeatureMetric.min_reals:
            held_out = len(split("val").images) + len(split("test").images)
            hold = hasattr(data, "val_fraction")
            none = "hold out none by --data.val_fraction 0 --data.test_fraction 0, " if hold else ""
            raise ConfigurationError(
                f"There is one training sample (held out: {held_out}), and samples are measured "
                f"against two or more: give more, {none}or set --trainer.limit_val_batches to 0."
            )
        if asked and not trainer.enable_validation:
            rank_zero_warn(
                "Evaluation will measure nothing, since it does so at validations and there are no "
                "held-out batches: train by lightning_gan.fit, which needs none, or give some."
            )

    def on_fit_end(self, trainer: Trainer, gan: GAN) -> None:
        """Stops the clock, which only a further evaluation sets going again."""
        if self._clock is not None:
            self._clock.stop()

    def on_validation_start(self, trainer: Trainer, gan: GAN) -> None:
        """Refuses to measure without reals.

        Raises:
            ConfigurationError: If there are none.
        """
        if is_dry_run(trainer):
            return
        if data_of(trainer) is None:
            raise ConfigurationError(
                "Evaluation compares with the training samples, and there are held-out batches "
                "alone: pass datamodule=..., or use the metrics in lightning_gan.metrics by "
                "themselves."
            )
        if self._clock is not None and not trainer.testing:
            self._clock.begin()

    def on_test_start(self, trainer: Trainer, gan: GAN) -> None:
        """Likewise."""
        self.on_validation_start(trainer, gan)

    def on_validation_epoch_end(self, trainer: Trainer, gan: GAN) -> None:
        """Measures, logs, and writes the values down with their stamp."""
        if is_dry_run(trainer):
            return
        started, latest = time.perf_counter(), measurements(trainer)
        # what is cached here must serve later evaluations, in inference mode or not
        with torch.inference_mode(False), torch.no_grad():
            panel = self.panel(trainer, gan)
            samples = self.samples(panel).with_classes_of(panel.data, gan)
            measured = panel.measure(self._with_bar(trainer, gan, samples))
            if trainer.is_global_zero:
                latest.pictures = panel.pictures(measured, partial(samples.rows, gan))
        measured = replace(measured, seconds=time.perf_counter() - started)
        stamp = panel.stamp() | {"samples": samples.stamp(), "versions": versions()}
        latest.best = self._remember(measured, gan.progress.images, stamp, trainer)
        latest.samples = measured
        logged = measured.logged()
        gan.log_dict(logged, sync_dist=True)  # equal everywhere; Lightning warns without it
        if self._clock is not None and not trainer.testing:
            latest.time = self._clock.end(running=is_fitting(trainer))
            gan.log("eval/share", latest.time.share, sync_dist=True)
        run = circumstances(
            images_seen=gan.progress.images,
            epoch=epoch_of(trainer, gan) if is_fitting(trainer) else trainer.current_epoch,
            checkpoint=str(trainer.ckpt_path or ""),
            stage="test" if trainer.testing else "val",
            processes=trainer.world_size,
            device=str(gan.device.type),
            precision=str(trainer.precision),
            **measured.missing(),
            **(
                {}
                if latest.record is None
                else {"id": latest.record.id, "name": latest.record.name}
            ),
        )
        latest.stamped = StampedValues(logged, stamp, run)
        self._write(trainer, latest.stamped, latest.pictures)
        give_back()

    def _with_bar(
        self, trainer: Trainer, gan: GAN, samples: MeasuredSamples
    ) -> Iterable[tuple[int, Tensor]]:
        """The blocks of this process, with a bar where the run has one and they take long."""
        blocks = samples.blocks(gan, trainer.global_rank, trainer.world_size)
        total = -(-samples.count // (BLOCK * trainer.world_size))
        hidden = trainer.progress_bar_callback is None or not trainer.is_global_zero
        yield from tqdm(blocks, "measuring", total, leave=False, disable=hidden or None, delay=2)

    def panel(self, trainer: Trainer, gan: GAN) -> Panel:
        """What measures; built when first needed, rank zero first, who fills the cache.

        Raises:
            ConfigurationError: If a measure does not fit.
        """
        split: Literal["val", "test"] = "test" if trainer.testing else "val"
        data = data_of(trainer)
        assert data is not None  # or the validation was refused
        if split not in self._panels or self._panels[split].data is not data:
            default = MEASURES if trainer.testing else TRAINING_MEASURES
            options = (self.extractor, self.classifier, split, self.cache_dir)
            # Rank zero goes ahead, or all would compute what one can leave in the cache for all.
            if not trainer.is_global_zero:
                trainer.strategy.barrier()
            self._panels[split] = Panel(data, self.measures, *options, gan.device, default)
            if trainer.is_global_zero:
                trainer.strategy.barrier()
            for remark in self._panels[split].remarks:
                if remark not in self._said:
                    self._said.add(remark)
                    rank_zero_info(remark)
        return self._panels[split]

    def samples(self, panel: Panel) -> MeasuredSamples:
        """Which samples are measured."""
        count = self.num_samples or default_num_samples(panel.data)
        return MeasuredSamples(count, self._sampling, self.averaged)

    def _remember(
        self, measured: Measured, images: int, stamp: dict[str, Any], trainer: Trainer
    ) -> BestDistance | None:
        """The smallest distance so far; what was measured otherwise before counts no longer."""
        now, best = measured.frechet, self._best
        if now is None or not math.isfinite(now.value):
            return best
        samples, reference = stamp["samples"], stamp["reference"]
        if best is not None and not (
            best.extractor == now.extractor
            and best.samples in (None, samples)
            and best.reference in (None, reference)
        ):
            best = None
            for each in trainer.callbacks:  # type: ignore[attr-defined]
                getattr(each, "forget_best", lambda: None)()  # the file of the best as well
        if best is None or now.value <= best.value:
            self._best = BestDistance(now.extractor, now.value, images, samples, reference)
        return self._best

    def _write(self, trainer: Trainer, stamped: StampedValues, pictures: dict[str, Tensor]) -> None:
        """Appends the values to those of the run, if it is one that writes."""
        folder = run_folder(trainer)
        if not trainer.is_global_zero or not (trainer.loggers and folder.is_dir()):
            return
        with (folder / "evaluations.jsonl").open("a", encoding="utf-8") as file:
            file.write(stamped.as_json() + "\n")
        for name, picture in pictures.items():
            save_png(picture, folder / "samples" / f"{name}_{stamped.run['images_seen']:010d}.png")

    def state_dict(self) -> dict[str, Any]:
        """The smallest distance so far."""
        return {"best": self._best and self._best._asdict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes it up.

        Raises:
            WeightsError: If it is no number.
        """
        check_state(self, state_dict)
        self._best = state_dict["best"] and BestDistance(**state_dict["best"])


class _Clock:
    """The time of a training and of its evaluations, the final one after its end included."""

    def __init__(self) -> None:
        self._spent = TimeSpent(0.0, 0.0)
        self._evaluating = 0.0
        self._since: float | None = time.perf_counter()
        """From when on it goes; None where it stands still."""

    def begin(self) -> None:
        """An evaluation begins."""
        self._evaluating = time.perf_counter()
        self._since = self._since or self._evaluating

    def end(self, running: bool) -> TimeSpent:
        """It has ended, and the training goes on or does not."""
        whole, evaluating = self._spent
        now = time.perf_counter()
        since = self._evaluating if self._since is None else self._since
        self._spent = TimeSpent(whole + now - since, evaluating + now - self._evaluating)
        self._since = now if running else None
        return self._spent

    def stop(self) -> None:
        """The training has ended."""
        if self._since is not None:
            whole, evaluating = self._spent
            self._spent = TimeSpent(whole + time.perf_counter() - self._since, evaluating)
            self._since = None
