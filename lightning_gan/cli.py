"""LightningCLI with short names, recipes by name, sizes from the data, and one-sentence errors."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any, Literal, NoReturn

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_info

import datamodules
from datamodules import DataError, RealData
from lightning_gan import callbacks as own
from lightning_gan import strategy as _registers_gan_ddp  # noqa: F401 (named by --trainer.strategy)
from lightning_gan.__main__ import RECIPES
from lightning_gan.callbacks import Interrupted
from lightning_gan.callbacks.run import run_folder
from lightning_gan.checkpoint import read_checkpoint
from lightning_gan.cli_config import (
    check_budget,
    fill_sizes,
    fitting_strategy,
    plain,
    run_name,
    with_recipes,
)
from lightning_gan.errors import ConfigurationError, DivergenceError, WeightsError
from lightning_gan.gan import GAN
from lightning_gan.loggers import CSVCurve
from lightning_gan.metrics.extractors import default_extractor, get_extractor
from lightning_gan.summary import summary

MENDABLE = (
    ConfigurationError,
    WeightsError,
    DivergenceError,
    DataError,
    MisconfigurationException,
)


class Parser(LightningArgumentParser):
    """Says in one sentence what is wrong with an option, with the nearest match."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Ends the program with exit code 2."""
        sys.stderr.write(f"lightning-gan: error: {plain(message)}\n")
        raise SystemExit(2)


class CLI(LightningCLI):
    """``lightning-gan fit | validate | test``."""

    def __init__(self, arguments: list[str]) -> None:
        self.name = run_name(arguments)
        defaults = {"default_config_files": [str(RECIPES / "_defaults.yaml")]}
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
            parser_kwargs={name: dict(defaults) for name in self.subcommands()},
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands that run through the Trainer, with the arguments that are not options."""
        skip = {"model", "dataloaders", "datamodule", "weights_only"}
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
        trainer.strategy = fitting_strategy(trainer)
        if self.subcommand == "fit":
            check_budget(trainer, config.model.init_args.get("max_images"))

    def _find_checkpoint(self, config: Any) -> Path | None:  # noqa: ANN401 (a Namespace)
        """Replaces "last" and "best" by the newest such file of the run; reads it once."""
        asked = config.get("ckpt_path")
        root = Path(config.trainer.default_root_dir)
        if asked in ("last", "best"):
            found = sorted(
                root.glob(f"version_*/checkpoints/{asked}.ckpt"), key=lambda p: p.stat().st_mtime
            )
            if not found and self.subcommand == "fit":
                rank_zero_info(f"No {asked}.ckpt below {root} yet: starting from the beginning.")
                config.ckpt_path = None
                return None
            if not found:
                raise ConfigurationError(
                    f"There is no {asked}.ckpt below {root}: train first, or give --ckpt_path FILE."
                )
            config.ckpt_path = str(found[-1])
        if config.get("ckpt_path"):
            read_checkpoint(config.ckpt_path)
        return Path(config.ckpt_path) if asked == "last" else None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:  # noqa: ANN401
        """Adds the default loggers and callbacks to what was asked for."""
        config = self.config_init[self.subcommand].trainer
        if config.logger in (None, True):
            kwargs["logger"] = self._loggers()
        kwargs["callbacks"] = self._callbacks(list(config.callbacks or []))
        return super().instantiate_trainer(**kwargs)

    def _loggers(self) -> list[Logger]:
        """CSV always; TensorBoard and W&B where asked for."""
        config = self.config_init[self.subcommand]
        root = config.trainer.default_root_dir
        version = (
            self.resumed.parents[1].name if self.resumed and self.subcommand == "fit" else None
        )
        csv = CSVCurve(root, name="", version=version)
        loggers: list[Logger] = [csv]
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
        defaults: list[Callback] = [own.Balance(), own.StopOnDivergence()]
        classifier = get_extractor_name(self.datamodule)
        defaults.append(own.FrechetDistance(num_samples=default_samples(self.datamodule)))
        if hasattr(self.datamodule, "means") or can_tell(classifier, self.datamodule):
            defaults.append(own.ModeCoverage(num_samples=default_samples(self.datamodule)))
        defaults.append(own.SampleGrid())
        if trainer.enable_progress_bar is not False:
            defaults.append(own.ImagesBar())
        if trainer.enable_checkpointing is not False and self.subcommand == "fit":
            defaults.append(own.LastCheckpoint())
            defaults.append(
                ModelCheckpoint(
                    filename="best",
                    monitor=f"fid/{classifier}",
                    mode="min",
                    enable_version_counter=False,
                    auto_insert_metric_name=False,
                )
            )
        kinds = tuple(type(callback) for callback in asked)
        return asked + [default for default in defaults if not isinstance(default, kinds)]

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Checkpoints are read as plain data only."""
        return super()._prepare_subcommand_kwargs(subcommand) | {"weights_only": True}

    def before_fit(self) -> None:
        """Says where the run is written."""
        rank_zero_info(f"Writing to {run_folder(self.trainer)}")

    def after_fit(self) -> None:
        """Measures the final generator and prints what came out of the run."""
        if getattr(self.trainer, "fast_dev_run", False):
            return
        self.trainer.validate(self.model, self.datamodule, verbose=False, weights_only=True)
        if self.trainer.is_global_zero:
            sys.stdout.write(summary(self.trainer, self.model) + "\n")


def get_extractor_name(data: RealData) -> str:
    """The feature extractor for these data."""
    return default_extractor(data.name, data.channels, data.image_size)


def can_tell(classifier: str, data: RealData) -> bool:
    """Whether the extractor's classes are the data's."""
    return data.num_classes > 0 and get_extractor(classifier).num_classes == data.num_classes


def default_samples(data: RealData) -> int:
    """Samples for one evaluation: 10,000 images, or 2,500 points as the literature has it."""
    return 10_000 if data.image_size else 2_500


def quiet() -> None:
    """Silences what Lightning says about things that are as they should be here."""
    for message, reason in (
        (".*does not have many workers.*", "batches come from memory"),
        (".*LeafSpec.*", "Lightning's own use of torch"),
        (".*pre-optimization state.*", "the checkpoint callbacks save between two batches"),
        (".*exists and is not empty.*", "each run has a folder of its own"),
        (".*The number of training batches.*", "small data sets are fine"),
        (".*tensorboardX.*", "CSV is the default"),
    ):
        assert reason
        warnings.filterwarnings("ignore", message)
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.fabric.utilities.rank_zero"):
        logging.getLogger(name).addFilter(lambda record: "Tip:" not in record.getMessage())


def run(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code, 2 where the user can mend something."""
    quiet()
    try:
        if arguments[0] == "predict":
            from lightning_gan.predict import predict

            predict(arguments[1:])
        else:
            # Lightning starts further processes with sys.argv, so they must see the same.
            sys.argv[1:] = with_recipes(arguments)
            CLI(sys.argv[1:])
    except Interrupted as stop:
        sys.stderr.write(f"lightning-gan: {stop}\n")
        return 128 + stop.signal_number
    except MENDABLE as error:
        sys.stderr.write(f"lightning-gan: error: {plain(str(error))}\n")
        return 2
    return 0


assert datamodules  # imported so that its classes are known by their short names
