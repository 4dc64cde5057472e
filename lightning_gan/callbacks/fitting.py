"""A training from Python with all that the command line gives it: record, samples, summary."""

import contextlib
import logging
import math
import os
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Generator, Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from lightning_gan.basics.classes import public_path
from lightning_gan.basics.memory import keep_freed_memory
from lightning_gan.basics.texts import counted, folded
from lightning_gan.callbacks.balance import Balance
from lightning_gan.callbacks.base import GANCallback, drop_lost, is_dry_run, run_folder
from lightning_gan.callbacks.collapse import CollapseGuard
from lightning_gan.callbacks.divergence import StopOnDivergence
from lightning_gan.callbacks.equilibrium import EquilibriumStopping
from lightning_gan.callbacks.evaluation import Evaluation
from lightning_gan.callbacks.last_checkpoint import LastCheckpoint
from lightning_gan.callbacks.loggers import CSVCurve
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.callbacks.progress_bar import ImagesBar
from lightning_gan.callbacks.recorder import Recorder, draw_curves_of
from lightning_gan.callbacks.sample_grid import SampleGrid
from lightning_gan.callbacks.summary import LABELS, summary
from lightning_gan.callbacks.trainer_options import (
    PYTHON,
    check_budget,
    check_options,
    number_of,
    refusals,
    with_defaults,
)
from lightning_gan.callbacks.unsuited import refuse_unsuited, unlogged
from lightning_gan.checkpoints.files import checkpoint_in, newest_checkpoint
from lightning_gan.errors import ConfigurationError, DataError, at_least, check_range, whole
from lightning_gan.evaluation.loaders import LoaderData, NothingHeldOut
from lightning_gan.evaluation.panel import MEASURES, EvaluationData, extractor_for
from lightning_gan.gan import GAN
from lightning_gan.runs.lock import hold, release
from lightning_gan.runs.record import NAME, RunRecord
from lightning_gan.training.batches import split_of

TRAINER_DEFAULTS: dict[str, Any] = {
    "max_epochs": -1,
    "num_sanity_val_steps": 0,
    "enable_model_summary": False,
    "log_every_n_steps": 50,
}
"""What a GAN wants of the Trainer: budgets are images, and nothing is tried out beforehand."""

LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
    "lightning.pytorch.trainer.connectors.checkpoint_connector",
)
"""Where Lightning says things."""

FASTER_MATMUL = (
    "This GPU has Tensor Cores, which multiply float32 matrices faster in TF32: ask for it with "
    "--matmul_precision high, or from Python with torch.set_float32_matmul_precision('high')."
)
"""What Lightning's hint should say."""


USUAL_BATCH = 64
"""Samples a batch and process, of data sets and tensors."""


class BestCheckpoint(GANCallback, ModelCheckpoint):  # type: ignore[misc]  # hooks that are None
    """Keeps ``best.ckpt``, the generator with the smallest distance so far.

    Args:
        distance: Name of the distance in the logs, such as ``fid/mnist_cnn``.
    """

    def __init__(self, distance: str) -> None:
        super().__init__(
            filename="best",
            monitor=distance,
            mode="min",
            save_on_train_epoch_end=False,
            enable_version_counter=False,
            auto_insert_metric_name=False,
        )

    def forget_best(self) -> None:
        """Lets the next distance be the best, since those before were measured otherwise."""
        self.best_k_models = {}
        self.best_model_score, self.current_score = None, None
        self.best_model_path = self.kth_best_model_path = ""
        self.kth_value = torch.tensor(math.inf)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a state, with the score of its file, wherever the run's folder is by now."""
        super().load_state_dict(self._here(state_dict))
        self.current_score = state_dict.get("current_score")

    def _here(self, state: dict[str, Any]) -> dict[str, Any]:
        """The state of the same folder under its name of today, which Lightning compares."""
        folder, path = self.dirpath, str(state.get("best_model_path") or "")
        if folder is None or not (Path(folder) / Path(path).name).is_file():
            return state

        def here(file: str) -> str:
            return str(Path(folder) / Path(file).name) if file else file

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {name: here(str(state.get(name) or "")) for name in paths}
        best = {here(file): score for file, score in state.get("best_k_models", {}).items()}
        return state | moved | {"dirpath": folder, "best_k_models": best}

    def on_train_start(self, trainer: Trainer, gan: GAN) -> None:
        """Drops a file of updates that were lost, which nothing on record tells of."""
        super().on_train_start(trainer, gan)
        # Not best_model_path, which may be the file of another run, that this one was begun from.
        file = Path(self.dirpath or "") / f"{self.filename}.ckpt"
        if not drop_lost(trainer, gan, file, "the next distance is the best"):
            return
        for each in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(each, Evaluation):
                each.forget()
        measurements(trainer).best = None
        self.forget_best()


def default_callbacks(
    data: EvaluationData | None,
    asked: Sequence[Callback] = (),
    *,
    fitting: bool = True,
    bar: bool = True,
    checkpoints: bool = True,
    validating: bool = True,
) -> list[Callback]:
    """The callbacks asked for, and of the usual ones those whose kind was not.

    Args:
        data: The data module; None for plain loaders, with which samples are not measured.
        asked: Callbacks of one's own. One that derives from a usual one takes its place, as any
            other progress bar does that of ours.
        fitting: Whether a training is watched, rather than a validation or test.
        bar: Whether there is a progress bar.
        checkpoints: Whether checkpoints are written.
        validating: Whether there are validations.

    Raises:
        ConfigurationError: If two of those that were asked for would save their states as one, or
            one cannot watch two players.
    """
    refuse_unsuited(asked)
    saved = [each.state_key for each in asked if type(each).state_dict is not Callback.state_dict]
    for key in saved:
        if saved.count(key) > 1:
            raise ConfigurationError(f"There are {saved.count(key)} callbacks {key}: give one.")
    usual: list[Callback] = [Balance(), EquilibriumStopping(), CollapseGuard(), StopOnDivergence()]
    usual += [Evaluation()] if data is not None else []
    usual += [SampleGrid()] if fitting else []
    if bar and not any(isinstance(each, ProgressBar) for each in asked):  # the Trainer takes one
        usual.append(ImagesBar())
    if checkpoints and fitting:
        usual.append(LastCheckpoint())
        own = (callback for callback in asked if isinstance(callback, Evaluation))
        evaluation = next(own, Evaluation())
        if data is not None and validating and "frechet" in (evaluation.measures or MEASURES):
            distance = f"fid/{extractor_for(data, evaluation.extractor).name}"
            usual.append(BestCheckpoint(distance))
    return [*asked, *(each for each in usual if not any(isinstance(a, type(each)) for a in asked))]


def described(callback: Callback) -> dict[str, Any]:
    """A usual callback as a configuration names it."""
    path = public_path(type(callback))
    if isinstance(callback, BestCheckpoint):
        return {"class_path": path, "init_args": {"distance": callback.monitor}}
    return {"class_path": path}


def fit(
    gan: GAN,
    data: Any,  # noqa: ANN401 (a data module or a loader, as the Trainer takes them)
    folder: str | Path = "runs/gan",
    ckpt_path: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    batch_size: int | None = None,
    **options: Any,  # noqa: ANN401 (the Trainer's own)
) -> Trainer:
    """Trains a GAN with the record, the pictures and the safety of ``lightning-gan fit``.

    Args:
        gan: What is trained.
        data: A data module; or images (N, C, H, W) in [-1, 1] or points (N, D), with class indices
            (N,) where there are classes, as a loader or list of batches, a data set, or tensors.
        folder: Where runs of this kind lie, each in a ``version_N`` of its own.
        ckpt_path: Checkpoint to go on from, in the folder of its run, or that folder; "last" for
            the newest one below ``folder``, if there is any; "best" for a new run that begins with
            the best one.
        callbacks: More callbacks, or others in the place of the usual ones.
        loggers: More loggers; the curve in ``metrics.csv`` is always written.
        batch_size: Samples a batch and process, of a data set or tensors; 64 where None, or all of
            them where there are fewer, which is said.
        options: Options of the Trainer.

    Returns:
        The Trainer, whose ``log_dir`` is the folder of the run.

    Raises:
        ConfigurationError: If there is no budget, an argument is of another kind, an option is
            none of the Trainer's or cannot be, or a callback watches what is not logged.
        DataError: If there are no data, their first batch does not fit the networks, or there are
            fewer samples than one batch that was asked for.

    Example:
        >>> from lightning_gan.datamodules import Ring
        >>> from lightning_gan.networks import MLPDiscriminator, MLPGenerator
        >>> from lightning_gan.objectives import NonSaturating
        >>> gan = GAN(MLPGenerator(2, 0), MLPDiscriminator(2, 0), NonSaturating(), max_images=640)
        >>> trainer = fit(gan, Ring(), "runs/ring")  # doctest: +SKIP
    """
    _check_arguments(gan, data, folder=folder, ckpt_path=ckpt_path)
    _check_lists(callbacks=(callbacks, Callback), loggers=(loggers, Logger))
    options = TRAINER_DEFAULTS | options
    known = with_defaults(options)
    check_options(known, PYTHON)
    if known["devices"] not in ("auto", -1, "-1"):
        number_of(known["devices"], PYTHON)
    check_budget(known, gan.max_images, PYTHON)
    silence_lightning()
    keep_freed_memory()
    folder = os.path.expanduser(folder)  # noqa: PTH111 (by which an address stays one)
    named = ckpt_path in ("last", "best")
    found = newest_checkpoint(Path(folder), str(ckpt_path)) if named else ckpt_path
    if found is not None and Path(found).is_dir():
        found = checkpoint_in(found)
    curve = curve_of(folder, None if ckpt_path == "best" else found)
    asked = options.pop("logger", True)
    loggers = [*loggers, *(asked if isinstance(asked, list) else [asked])]
    data, held_out = loader_of(data, batch_size, gan), None
    is_module, knows_splits = hasattr(data, "train_dataloader"), split_of(data) is not None
    if not is_module:
        held_out = NothingHeldOut(gan.generator)
    lent = isinstance(data, LightningDataModule) and not is_overridden("val_dataloader", data)
    if lent:
        data.val_dataloader = lambda: NothingHeldOut(gan.generator)
    own_schedule = {"check_val_every_n_epoch", "val_check_interval"} & options.keys()
    if not (knows_splits or own_schedule):
        gan.validate_every = gan.validate_every or 0
    usual = default_callbacks(
        data if knows_splits else LoaderData(gan.generator, data),
        callbacks,
        bar=options.get("enable_progress_bar") is not False,
        checkpoints=options.get("enable_checkpointing") is not False,
        validating=options.get("limit_val_batches") != 0,
    )
    others = [logger for logger in loggers if isinstance(logger, Logger)]
    try:
        with refusals("fit"):
            trainer = Trainer(logger=[curve, *others], callbacks=[*usual, Recorder()], **options)
        if not is_dry_run(trainer) and trainer.is_global_zero:
            hold(run_folder(trainer))
        trainer.fit(gan, data, held_out, ckpt_path=found, weights_only=True)
        finish(trainer, gan, data if is_module else held_out)
    except (RuntimeError, MisconfigurationException) as error:
        if (complaint := unlogged(error, PYTHON)) is None:
            raise
        raise complaint from error
    finally:
        if lent:
            del data.val_dataloader
        forget_if_unused(curve)
        release()
    return trainer


def _check_arguments(gan: object, data: object, **places: object) -> None:
    """Refuses what is no GAN, and what is no path.

    Raises:
        ConfigurationError: With what is wanted.
    """
    if not isinstance(getattr(gan, "_orig_mod", gan), GAN):  # where torch.compile is around it
        if isinstance(data, GAN):
            raise ConfigurationError("fit: the GAN comes first, then its data: swap the two.")
        raise ConfigurationError(f"fit: {_kind(gan)} is no GAN: give a GAN first, then its data.")
    for name, place in places.items():
        if not isinstance(place, (str, os.PathLike)) and (name, place) != ("ckpt_path", None):
            raise ConfigurationError(f"fit: {name}={place!r} must be a path.")


def _check_lists(**lists: tuple[object, type]) -> None:
    """Refuses what is no list of instances of a class.

    Raises:
        ConfigurationError: With the class.
    """
    for name, (given, kind) in lists.items():
        if not isinstance(given, (list, tuple)) or not all(isinstance(x, kind) for x in given):
            raise ConfigurationError(f"fit: {name} must be a list of {kind.__name__} instances.")


def _kind(thing: object) -> str:
    """What errors call something of another kind than was wanted."""
    if isinstance(thing, type):
        return f"the class {thing.__name__}"
    return "None" if thing is None else type(thing).__name__


def loader_of(data: Any, batch_size: int | None, gan: GAN) -> Any:  # noqa: ANN401 (as fit's)
    """Shuffled, whole batches of a data set or of tensors, and batches as they are.

    Raises:
        ConfigurationError: If the data can be read once alone, or have batches of their own and a
            size is asked for.
        DataError: If there are none, fewer than one batch of the size that is asked for, or not as
            many labels as samples.
    """
    check_range("fit", at_least(1), batch_size=batch_size)
    asked = whole("fit", "batch_size", batch_size)
    batch_size = asked or USUAL_BATCH
    if isinstance(data, (str, Path)):
        raise DataError(f"fit: {data} is a path: give datamodules.ImageFolder('{data}'), or so.")
    readable = any(hasattr(data, way) for way in ("train_dataloader", "__iter__", "__getitem__"))
    is_one_number = getattr(data, "shape", None) == ()
    if isinstance(data, (type, dict, nn.Module)) or is_one_number or not readable:
        raise DataError(
            f"fit: the data are {_kind(data)}: give a tensor, a data set, a DataLoader, or a data "
            "module."
        )
    if _is_read_once(data):
        raise ConfigurationError(
            "fit: the data are an iterator, which can be read once: give a list, a DataLoader, or "
            "an object whose __iter__ begins anew."
        )
    is_stream = isinstance(data, IterableDataset)
    has_length = isinstance(data, (Tensor, tuple, list, Dataset)) and not is_stream
    columns = _columns_of(data) if not has_length or len(data) else []
    if columns == [] or (columns and not len(columns[0])):
        raise DataError("fit: there are no data: give at least one sample.")
    if columns is not None:
        if len({len(column) for column in columns}) > 1:
            raise DataError(
                f"fit: there are {len(columns[0])} samples and {len(columns[1])} labels: give one "
                "label for each sample."
            )
        data = TensorDataset(*columns)
    if is_stream:
        return DataLoader(data, batch_size)
    if asked is not None and not isinstance(data, Dataset):
        raise ConfigurationError(
            "fit: batch_size is for data sets and tensors, and these data have batches of their "
            "own: set it there."
        )
    if isinstance(data, (tuple, list)) and not any(isinstance(each, DataLoader) for each in data):
        return DataLoader(data, batch_size=None)  # type: ignore[arg-type]  # batches, as they are
    if not isinstance(data, Dataset):
        return data
    samples = len(data)  # type: ignore[arg-type]  # all but streams have a length
    if asked is not None and asked > samples:
        raise DataError(
            f"fit: the data have {counted(samples, 'sample')}, fewer than one batch of {asked}: "
            f"set a smaller batch_size, at most {samples}."
        )
    if batch_size > samples:
        rank_zero_info(
            f"The data have {counted(samples, 'sample')}, fewer than the usual batch of "
            f"{batch_size}: all of them are one batch."
        )
    size = min(batch_size, samples)
    order = Generator().manual_seed(gan.game.seeds.seed)
    return DataLoader(data, size, shuffle=True, drop_last=True, generator=order)


def _is_read_once(data: object) -> bool:
    """Whether data are an iterator, or a stream that always hands out the same one."""
    stream = data.dataset if isinstance(data, DataLoader) else data
    if isinstance(stream, Iterator):
        return True
    if hasattr(stream, "__len__") and not isinstance(stream, IterableDataset):
        return False
    return isinstance(stream, Iterable) and iter(stream) is iter(stream)


def _columns_of(data: object) -> list[Tensor] | None:
    """All samples, with all labels where there are some; None where the data are something else.

    A tuple is both of them, and so is a list, but for one of batches.

    Raises:
        DataError: If a column is none, or there are more than two.
    """
    parts = [*data] if isinstance(data, (tuple, list)) else [data]
    arrays = [isinstance(part, (Tensor, np.ndarray)) for part in parts]
    if isinstance(data, tuple) and arrays[:2] == [True, False]:
        raise DataError(
            f"fit: the labels are {_kind(parts[1])}: give a tensor, or the samples alone."
        )
    if not all(arrays):
        return None
    try:
        columns = [torch.as_tensor(part).detach() for part in parts]
    except TypeError as error:
        (odd, *_) = [part.dtype for part in parts if isinstance(part, np.ndarray)]
        raise DataError(f"fit: an array of {odd} holds no numbers: give float32.") from error
    if len(columns) > 1 and isinstance(data, list) and columns[1].ndim != 1:
        return None  # batches
    if len(columns) > 2:
        raise DataError(
            f"fit: there are {len(columns)} tensors, where samples or (samples, labels) are "
            "wanted: leave the others out, or give batches in a list."
        )
    return columns


def curve_of(root: str | Path, checkpoint: str | Path | None) -> CSVCurve:
    """The curve of a run below ``root``: that of the checkpoint's run, or a new one's.

    Raises:
        ConfigurationError: If ``root`` is an address rather than a folder.
    """
    if "://" in str(root):
        raise ConfigurationError(
            f"Runs are written to folders, and {root} is an address: give a folder, and copy the "
            "run when it has ended, or mount the place."
        )
    run = None if checkpoint is None else Path(checkpoint).parent.parent
    run = run.resolve() if run == Path() else run  # which has no name here
    if run is not None and (run.name.startswith("version_") or (run / NAME).is_file()):
        return CSVCurve(str(run.parent), version=run.name)
    return CSVCurve(str(root))


def finish(trainer: Trainer, gan: GAN, data: Any) -> None:  # noqa: ANN401 (as fit's)
    """Measures the final generator, where it was not, and prints what came out of the run."""
    if is_dry_run(trainer):
        return
    holds_out = isinstance(data, NothingHeldOut)
    if isinstance(data, LightningDataModule):
        holds_out = is_overridden("val_dataloader", data)
    if holds_out and gan.images_validated != gan.progress.images and trainer.limit_val_batches:
        trainer.validate(gan, data, verbose=False, weights_only=True)
    if trainer.is_global_zero:
        draw_curves_of(trainer)
        sys.stdout.write(folded(summary(trainer, gan), sys.stdout, LABELS) + "\n")


def forget_if_unused(curve: CSVCurve) -> None:
    """Removes the new folder of a run that has ended before its first update.

    So it does with folders around it that were made for it and hold nothing else.
    """
    folder = Path(curve.log_dir)
    is_first = getattr(rank_zero_only, "rank", 0) == 0
    if (folder / NAME).exists():
        try:
            record = RunRecord.read(folder)
        except ConfigurationError:
            return  # whatever it is, somebody wrote it
        if record.images or record.state != "failed":
            return
    if curve.is_new and is_first:
        release()
        shutil.rmtree(folder, ignore_errors=True)
        for around in curve.new_around:
            with contextlib.suppress(OSError):  # another run lies in it by now
                around.rmdir()


def silence_lightning() -> None:
    """Silences what Lightning says about things that are as they should be here."""
    for message in (
        ".*does not have many workers.*",  # batches come from memory
        ".*LeafSpec.*",  # Lightning's own use of torch
        ".*pre-optimization state.*",  # the checkpoint callbacks save between two batches
        ".*exists and is not empty.*",  # each run has a folder of its own
        ".*The number of training batches.*",  # small data sets are fine
        r"(?s).*(Jsonargparse|was deprecated in v4).*",  # Lightning's own use of jsonargparse
        ".*tensorboardX.*",  # CSV is the default
        ".*The dirpath has changed.*",  # a run that begins from another one's best
        ".*have no `val_dataloader`.*",  # a loader alone holds nothing out
        ".*callbacks used to create the checkpoint.*",  # measuring needs none of them
    ):
        warnings.filterwarnings("ignore", message)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_is_worth_showing)


def _is_worth_showing(record: logging.LogRecord) -> bool:
    """Whether a log message of Lightning says what a user wants to know."""
    if "set_float32_matmul_precision" in record.getMessage():  # names no option of ours
        record.msg, record.args = FASTER_MATMUL, ()
    usual = ("Tip:", "Seed set to", "GPU available", "TPU available", "`weights_only` was not set")
    return not any(word in record.getMessage() for word in usual)
