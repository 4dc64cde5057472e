"""LightningCLI with short names, recipes by name, sizes from the data, and one-sentence errors."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Any, Literal

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_info

from lightning_gan import callbacks as own
from lightning_gan import datamodules
from lightning_gan.callbacks.loggers import CSVCurve
from lightning_gan.callbacks.preemption import (
    let_slurm_be,
    outlasting,
    refuse_torn_checkpoints,
)
from lightning_gan.callbacks.run import is_dry, run_folder
from lightning_gan.checkpoints.files import read_checkpoint
from lightning_gan.cli.configuration import (
    check_budget,
    check_processes,
    check_trainer,
    fill_sizes,
    fitting_strategy,
    newest_checkpoint,
    parser_options,
    run_name,
    with_defaults,
    with_recipes,
)
from lightning_gan.cli.help import help_text
from lightning_gan.cli.lock import hold, release
from lightning_gan.cli.parser import HelpFormatter, Parser, disk_full, misfit, plain, refused
from lightning_gan.cli.summary import measured, summary, write_reports
from lightning_gan.datamodules import RealData
from lightning_gan.distributed.strategy import lost_process
from lightning_gan.errors import (
    ConfigurationError,
    DataError,
    DivergenceError,
    ProcessLostError,
    WeightsError,
)
from lightning_gan.evaluation.panel import MEASURES, extractor_for
from lightning_gan.gan import GAN

MENDABLE = (
    ConfigurationError,
    WeightsError,
    DivergenceError,
    DataError,
    ProcessLostError,
    MisconfigurationException,
)


OTHERS = ("predict", "evaluate", "compare")
"""Commands that run without a Trainer, each a function in a module of its name."""

LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.rank_zero",
    "lightning.fabric.utilities.seed",
    "lightning.pytorch.trainer.connectors.checkpoint_connector",
)


class CLI(LightningCLI):
    """``lightning-gan fit | validate | test``."""

    def __init__(self, arguments: list[str]) -> None:
        self.name = run_name(arguments)
        super().__init__(
            GAN,
            RealData,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            save_config_kwargs={"overwrite": True},
            seed_everything_default=0,
            trainer_defaults={
                "max_epochs": -1,
                "num_sanity_val_steps": 0,
                "enable_model_summary": False,
                "log_every_n_steps": 50,
            },
            parser_class=Parser,
            parser_kwargs={"formatter_class": HelpFormatter}
            | {name: parser_options(name) for name in self.subcommands()},
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands that run through the Trainer, with the arguments that are not options."""
        skip = {"model", "dataloaders", "datamodule", "weights_only", "verbose"}
        return {
            "fit": (skip - {"dataloaders"}) | {"train_dataloaders", "val_dataloaders"},
            "validate": skip,
            "test": skip,
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Loggers by one flag."""
        parser.add_argument(
            "--wandb",
            type=Literal["off", "offline", "online"],
            default="off",
            help="Log to W&B as well; offline needs neither account nor network.",
        )
        parser.add_argument(
            "--tensorboard", type=bool, default=False, help="Log to TensorBoard as well."
        )

    def _parse_ckpt_path(self) -> None:
        """Leaves the configuration alone: a checkpoint must not override what was asked for."""

    def before_instantiate_classes(self) -> None:
        """Fills in sizes, folders and the strategy; refuses budgets that make no sense."""
        config = self.config[self.subcommand]
        fill_sizes(config)
        if config.seed_everything is not True:
            for part in (config.model.init_args, config.data.init_args):
                part["seed"] = part.get("seed") or int(config.seed_everything)
        trainer = config.trainer
        trainer.default_root_dir = trainer.default_root_dir or f"runs/{self.name}"
        self.resumed = self._find_checkpoint(config)
        check_trainer(trainer)
        check_processes(trainer)
        trainer.strategy = fitting_strategy(trainer)
        if self.subcommand != "fit":
            self.save_config_callback = None  # measuring leaves the run as it is
        else:
            refuse_torn_checkpoints(trainer.default_root_dir, config.get("ckpt_path"))
            check_budget(trainer, config.model.init_args.get("max_images"))

    def _find_checkpoint(self, config: Any) -> Path | None:  # noqa: ANN401 (a Namespace)
        """Replaces "last" and "best" by the newest such file of the run; reads it once."""
        asked = config.get("ckpt_path")
        root = Path(config.trainer.default_root_dir)
        if asked in ("last", "best"):
            found = newest_checkpoint(root, asked)
            if found is None and self.subcommand == "fit":
                rank_zero_info(f"No {asked}.ckpt below {root} yet: starting from the beginning.")
            elif found is None:
                raise ConfigurationError(
                    f"There is no {asked}.ckpt below {root}: train first, or give --ckpt_path FILE."
                )
            config.ckpt_path = found and str(found)
        elif asked is None and self.subcommand != "fit":
            raise ConfigurationError(
                f"{self.subcommand} measures a trained generator: give --ckpt_path last, best, or "
                "a checkpoint file."
            )
        if config.get("ckpt_path"):
            read_checkpoint(config.ckpt_path)
        return Path(config.ckpt_path) if asked == "last" and config.ckpt_path else None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:  # noqa: ANN401
        """Adds the default loggers and callbacks to what was asked for."""
        config = self.config_init[self.subcommand].trainer
        if config.logger in (None, True):
            kwargs["logger"] = self._loggers()
        asked = config.callbacks or []
        kwargs["callbacks"] = self._callbacks(asked if isinstance(asked, list) else [asked])
        trainer = super().instantiate_trainer(**kwargs)
        if not config.plugins:
            let_slurm_be(trainer)
        return trainer

    def _loggers(self) -> list[Logger]:
        """CSV for a training; TensorBoard and W&B where asked for."""
        config = self.config_init[self.subcommand]
        root = config.trainer.default_root_dir
        folder = self.resumed.parents[1] if self.resumed else Path(root)
        resumed = folder.name.startswith("version_")
        csv = CSVCurve(root, name="", version=folder.name if resumed else None)
        loggers: list[Logger] = [csv] if self.subcommand == "fit" else []
        if config.tensorboard:
            from lightning.pytorch.loggers import TensorBoardLogger

            loggers.append(TensorBoardLogger(csv.log_dir, name="", version="tensorboard"))
        if config.wandb != "off":
            from lightning.pytorch.loggers import WandbLogger

            loggers.append(
                WandbLogger(
                    name=self.name,
                    project="lightning-gan",
                    save_dir=csv.log_dir,
                    offline=config.wandb == "offline",
                )
            )
        return loggers

    def _callbacks(self, asked: list[Callback]) -> list[Callback]:
        """The callbacks asked for, and of the default ones those whose kind was not."""
        trainer = self.config_init[self.subcommand].trainer
        data, fitting = self.datamodule, self.subcommand == "fit"
        defaults: list[Callback] = [own.Balance()]
        if fitting:
            defaults += [own.EquilibriumStopping(), own.CollapseGuard()]
        defaults.append(own.StopOnDivergence())
        defaults.append(own.Evaluation())
        if fitting:
            defaults.append(own.SampleGrid())
        if trainer.enable_progress_bar is not False:
            defaults.append(own.ImagesBar())
        if trainer.enable_checkpointing is not False and fitting:
            defaults.append(own.LastCheckpoint())
            measuring = [c for c in asked if isinstance(c, own.Evaluation)] or [own.Evaluation()]
            if trainer.limit_val_batches != 0 and "frechet" in (measuring[0].measures or MEASURES):
                name = extractor_for(data, measuring[0].extractor).name
                defaults.append(best_checkpoint(f"fid/{name}"))
        kinds = tuple(type(callback) for callback in asked)
        return asked + [default for default in defaults if not isinstance(default, kinds)]

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Checkpoints are read as plain data only."""
        own_words = {} if subcommand == "fit" else {"verbose": False}
        return super()._prepare_subcommand_kwargs(subcommand) | {"weights_only": True} | own_words

    def before_fit(self) -> None:
        """Says where the run is written, and keeps other runs out."""
        if not is_dry(self.trainer):
            folder = run_folder(self.trainer)
            if self.trainer.is_global_zero:
                hold(folder)
            rank_zero_info(f"Writing to {folder}")

    def after_fit(self) -> None:
        """Measures the final generator and prints what came out of the run."""
        if is_dry(self.trainer):
            return
        self.trainer.validate(self.model, self.datamodule, verbose=False, weights_only=True)
        text = summary(self.trainer, self.model)
        if self.trainer.is_global_zero:
            sys.stdout.write(text + "\n")

    def after_validate(self) -> None:
        """Prints what was measured, and writes it to a file beside the checkpoint."""
        if not self.trainer.is_global_zero:
            return
        sys.stdout.write(measured(self.trainer, self.model) + "\n")
        checkpoint = Path(self.config_init[self.subcommand].ckpt_path)
        inside = checkpoint.parent.name == "checkpoints"
        sys.stdout.write(write_reports(self.trainer, checkpoint.parents[1 if inside else 0]))

    after_test = after_validate


def best_checkpoint(distance: str) -> ModelCheckpoint:
    """Keeps ``best.ckpt``, the generator with the smallest distance so far."""
    return ModelCheckpoint(
        filename="best",
        monitor=distance,
        mode="min",
        enable_version_counter=False,
        auto_insert_metric_name=False,
    )


def quiet() -> None:
    """Silences what Lightning says about things that are as they should be here."""
    for message, reason in (
        (".*does not have many workers.*", "batches come from memory"),
        (".*LeafSpec.*", "Lightning's own use of torch"),
        (".*pre-optimization state.*", "the checkpoint callbacks save between two batches"),
        (".*exists and is not empty.*", "each run has a folder of its own"),
        (".*The number of training batches.*", "small data sets are fine"),
        (r"(?s).*(Jsonargparse|was deprecated in v4).*", "Lightning's own use of jsonargparse"),
        (".*tensorboardX.*", "CSV is the default"),
        (".*callbacks used to create the checkpoint.*", "measuring needs none of them"),
    ):
        assert reason
        warnings.filterwarnings("ignore", message)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(is_news)


def is_news(record: logging.LogRecord) -> bool:
    """Whether a log message of Lightning says what a user wants to know."""
    usual = ("Tip:", "Seed set to", "GPU available", "TPU available", "`weights_only` was not set")
    return not any(word in record.getMessage() for word in usual)


def run(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code, 2 where the user can mend something."""
    quiet()
    if str(Path.cwd()) not in sys.path:  # parts of one's own may lie where the command is given
        sys.path.append(str(Path.cwd()))
    try:
        if arguments[0] in OTHERS:
            module = importlib.import_module(f"lightning_gan.cli.commands.{arguments[0]}")
            getattr(module, arguments[0])(arguments[1:])
        elif (text := help_text(arguments)) is not None:
            sys.stdout.write(text)
        else:
            # Lightning starts further processes with sys.argv, so they must see the same.
            sys.argv[1:] = with_defaults(with_recipes(arguments))
            with outlasting():
                CLI(sys.argv[1:])
    except SystemExit as end:  # help was shown, an error was named, or a signal has come
        return int(end.code or 0)
    except KeyboardInterrupt:  # before or after the training, which has its own way to stop
        sys.stderr.write("lightning-gan: Stopped by Ctrl-C; nothing was being trained.\n")
        return 130
    except Exception as error:
        sentence = mendable(error)
        if sentence is None:
            raise
        if isinstance(error, DivergenceError):
            sentence = f"{run_name(arguments)}: {sentence}"
        sys.stderr.write(f"lightning-gan: error: {sentence}\n")
        return 2
    finally:
        release()
    return 0


def mendable(error: Exception) -> str | None:
    """What the user can do about an exception, in one sentence; None for what is a defect."""
    cause: BaseException | None = (
        lost_process(error) or disk_full(error) or misfit(error) or refused(error) or error
    )
    if type(error) is ValueError and str(error).startswith("Does not validate against"):
        # jsonargparse's, around what the constructor of a part has raised
        while cause is not None and not isinstance(cause, MENDABLE):
            cause = cause.__cause__
        cause = cause or ConfigurationError(str(error))
    return plain(str(cause)) if isinstance(cause, MENDABLE) else None


assert datamodules  # imported so that its classes are known by their short names
