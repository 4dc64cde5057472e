"""What generated samples are worth, whenever the Trainer validates or tests."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from torch import Tensor
from tqdm.auto import tqdm

from lightning_gan.basics.images import save_png
from lightning_gan.callbacks.alarms import distances_in
from lightning_gan.callbacks.run import data_of, is_dry, of_gan, run_folder
from lightning_gan.errors import ConfigurationError
from lightning_gan.evaluation.panel import MEASURES, Measure, Panel, usual_samples
from lightning_gan.evaluation.report import Report, circumstances, versions
from lightning_gan.evaluation.sampling import MeasuredSamples
from lightning_gan.gan import GAN
from lightning_gan.training.sampling import BLOCK, Sampling

WHILE_TRAINING: tuple[Measure, ...] = ("frechet", "neighbours", "modes")


class Evaluation(Callback):
    """Measures fresh samples of the averaged generator at every validation and test.

    One pass of generation feeds all measures: ``frechet`` (fid), ``kernel`` (kid), ``neighbours``
    (precision, recall, density, coverage, 1-NN test), ``vendi``, ``score`` (is), ``memorisation``
    (auth, ct), ``duplicates`` (dup) and ``modes``; docs/metrics.md says what each one sees. The
    reals are the training split, whose features are computed once and cached. Latents are a
    function of the seed and the sample's number, so that the values depend neither on the number of
    processes nor on the training before, and training is not touched. Each report is a line of
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

    def __init__(
        self,
        measures: Sequence[Measure] | None = None,
        extractor: str | None = None,
        classifier: str | None = None,
        num_samples: int | None = None,
        seed: int = 0,
        averaged: bool = True,
        truncation: float | None = None,
        psi: float | None = None,
        cache_dir: str | None = None,
    ) -> None:
        unknown = [measure for measure in measures or () if measure not in MEASURES]
        if unknown or measures == []:
            raise ConfigurationError(
                f"Evaluation: measures={measures} must be some of {', '.join(MEASURES)}."
            )
        # Refused here if out of range, not after an epoch.
        MeasuredSamples(2 if num_samples is None else num_samples)
        self._drawn = Sampling(seed, truncation, psi)
        self.measures, self.extractor, self.classifier = measures, extractor, classifier
        self.num_samples, self.averaged, self.cache_dir = num_samples, averaged, cache_dir
        self.latest: dict[str, float] = {}
        """The last values, by the names in the logs."""
        self.best: dict[str, float] = {}
        """Those of the smallest Frechet distance so far, with ``progress/images``."""
        self.missing: list[str] = []
        """Names of the classes or modes that the last evaluation did not find."""
        self.total = 0
        """Number of classes or modes there are."""
        self.report: Report | None = None
        """The last report."""
        self.pictures: dict[str, Tensor] = {}
        """Pairs to look at, uint8 (3, H, W), by name; on rank zero."""
        self._panels: dict[str, Panel] = {}

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:  # noqa: ANN401
        """Measures, logs, and writes the report down."""
        if is_dry(trainer):
            return
        gan, started = of_gan(pl_module), time.perf_counter()
        # what is cached here must serve later evaluations, in inference mode or not
        with torch.inference_mode(False), torch.no_grad():
            panel = self.panel(trainer, gan)
            sampling = self.sampling(panel)
            values = panel.measure(self._shown(trainer, gan, sampling))
            self.missing, self.total = panel.missing(), panel.total
            if trainer.is_global_zero:
                self.pictures = panel.pictures(lambda numbers: sampling.rows(gan, numbers))
        self.latest = values | {"eval/seconds": time.perf_counter() - started}
        self._remember(gan.progress.images)
        gan.log_dict(self.latest, sync_dist=True)  # equal everywhere; Lightning warns without it
        self.report = self._report(trainer, gan, panel, sampling)
        self._write(trainer, self.report)

    on_test_epoch_end = on_validation_epoch_end

    def _shown(
        self, trainer: Trainer, gan: GAN, samples: MeasuredSamples
    ) -> Iterable[tuple[int, Tensor]]:
        """The chunks of this process, with a bar where the run has one and they take long."""
        rank, world = trainer.global_rank, trainer.world_size
        bars = [c for c in trainer.callbacks if isinstance(c, ProgressBar)]  # type: ignore[attr-defined]
        total = -(-samples.count // (BLOCK * world))
        hidden = not (bars and trainer.is_global_zero)
        chunks = samples.blocks(gan, rank, world)
        shown: Iterable[tuple[int, Tensor]]
        shown = tqdm(chunks, "measuring", total, leave=False, disable=hidden, delay=2.0)
        return shown

    def panel(self, trainer: Trainer, gan: GAN) -> Panel:
        """What measures; built when first needed, rank zero first, who fills the cache.

        Raises:
            ConfigurationError: If the Trainer was given plain loaders, or a measure does not fit.
        """
        held_out: Literal["val", "test"] = "test" if trainer.testing else "val"
        if held_out not in self._panels:
            data = data_of(trainer)
            if data is None or not hasattr(data, "split"):
                raise ConfigurationError(
                    "Evaluation compares with the training split, so it needs a data module with a "
                    "method split(name): pass datamodule=..., or use the metrics in "
                    "lightning_gan.metrics by themselves."
                )
            among = MEASURES if trainer.testing else WHILE_TRAINING

            def build() -> Panel:
                names = (self.extractor, self.classifier, held_out)
                return Panel(data, self.measures, *names, self.cache_dir, gan.device, among)

            if trainer.is_global_zero:
                self._panels[held_out] = build()
            trainer.strategy.barrier()
            if held_out not in self._panels:
                self._panels[held_out] = build()
        return self._panels[held_out]

    def sampling(self, panel: Panel) -> MeasuredSamples:
        """Which samples are measured."""
        count = self.num_samples or usual_samples(panel.data)
        return MeasuredSamples(count, self._drawn, self.averaged)

    def _remember(self, images: int) -> None:
        key = distance_key(self.latest)
        if key and self.latest[key] <= self.best.get(key, math.inf):  # never of a NaN
            self.best = self.latest | {"progress/images": float(images)}

    def _report(
        self, trainer: Trainer, gan: GAN, panel: Panel, sampling: MeasuredSamples
    ) -> Report:
        stamp = panel.stamp() | {
            "samples": sampling.stamp(),
            "versions": versions(),
        }
        run = circumstances(
            images_seen=gan.progress.images,
            epoch=trainer.current_epoch,
            checkpoint=str(trainer.ckpt_path or ""),
            stage="test" if trainer.testing else "val",
            processes=trainer.world_size,
            device=str(gan.device.type),
            precision=str(trainer.precision),
        )
        return Report(self.latest, stamp, run)

    def _write(self, trainer: Trainer, report: Report) -> None:
        """Appends the report to those of the run, if it is one that writes."""
        folder = run_folder(trainer)
        if not trainer.is_global_zero or not (trainer.loggers and folder.is_dir()):
            return
        with (folder / "evaluations.jsonl").open("a", encoding="utf-8") as file:
            file.write(report.as_json() + "\n")
        save_pictures(self.pictures, folder / "samples", f"_{report.run['images_seen']:010d}")

    def state_dict(self) -> dict[str, Any]:
        """The best values so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the best values so far."""
        self.best = dict(state_dict["best"])


def distance_key(values: dict[str, float]) -> str:
    """The key of the Frechet distance among values, or an empty text."""
    return next(iter(distances_in(values)), "")


def save_pictures(pictures: dict[str, Tensor], folder: Path, ending: str = "") -> None:
    """Writes them as PNG files."""
    for name, picture in pictures.items():
        save_png(picture, folder / f"{name}{ending}.png")
