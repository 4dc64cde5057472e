"""``lightning-gan fit``, ``validate`` and ``test``: LightningCLI with checks and defaults."""

import sys
from pathlib import Path
from typing import Any, Literal

from jsonargparse import Namespace
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_info

from lightning_gan import callbacks
from lightning_gan.callbacks.base import is_dry_run, run_folder
from lightning_gan.callbacks.loggers import CSVCurve
from lightning_gan.callbacks.preemption import disable_slurm_requeue, refuse_slurm_checkpoints
from lightning_gan.checkpoints.files import newest_checkpoint, read_checkpoint
from lightning_gan.cli import configuration
from lightning_gan.cli.arguments import run_name
from lightning_gan.cli.commands import TRAINER_COMMANDS
from lightning_gan.cli.failures import mendable
from lightning_gan.cli.lock import hold
from lightning_gan.cli.parser import HelpFormatter, Parser
from lightning_gan.cli.summary import measured, summary, write_reports
from lightning_gan.datamodules import RealData
from lightning_gan.errors import ConfigurationError, WeightsError, said
from lightning_gan.evaluation.panel import MEASURES, extractor_for
from lightning_gan.gan import GAN

DESCRIPTION = """Options come from a recipe, then from here; a later one wins.

  lightning-gan {command} --model.help                      options of the model
  lightning-gan {command} --model.objective.help            objectives to choose from
  lightning-gan {command} --model.objective.help Hinge      what one is, and its options
  lightning-gan {command} --data.help MNIST                 the same for data
  lightning-gan {command} --trainer.callbacks.help Balance  and for callbacks
"""


class CLI(LightningCLI):
    """``lightning-gan fit | validate | test``."""

    def __init__(self, arguments: list[str]) -> None:
        self.name = run_name(arguments)
        self.begun = False
        """Whether the first batch has come, so that nothing is restored any more."""
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
            parser_kwargs={"formatter_class": HelpFormatter, "allow_abbrev": False}
            | {command: _parser_options(command) for command in TRAINER_COMMANDS},
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands that run through the Trainer, with the arguments that are not options."""
        loaders = {"dataloaders", "train_dataloaders", "val_dataloaders"}
        skip = loaders | {"model", "datamodule", "weights_only", "verbose"}
        return dict.fromkeys(TRAINER_COMMANDS, skip)

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
        configuration.fill_sizes(config)
        if config.seed_everything is not True:
            for part in (config.model.init_args, config.data.init_args):
                part["seed"] = part.get("seed") or int(config.seed_everything)
        trainer = config.trainer
        trainer.default_root_dir = trainer.default_root_dir or f"runs/{self.name}"
        self.resumed = self._find_checkpoint(config)
        configuration.check_trainer(trainer)
        configuration.check_processes(trainer)
        trainer.strategy = configuration.fitting_strategy(trainer)
        if self.subcommand != "fit":
            self.save_config_callback = None  # measuring leaves the run as it is
        else:
            refuse_slurm_checkpoints(trainer.default_root_dir, config.get("ckpt_path"))
            configuration.check_budget(trainer, config.model.init_args.get("max_images"))

    def _find_checkpoint(self, config: Namespace) -> Path | None:
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

    def instantiate_trainer(self, **kwargs: object) -> Trainer:
        """Adds the default loggers and callbacks to what was asked for.

        Raises:
            ConfigurationError: If the Trainer refuses an option.
        """
        config = self.config_init[self.subcommand].trainer
        if config.logger in (None, True):
            kwargs["logger"] = self._loggers()
        asked = config.callbacks or []
        watching = self._callbacks(asked if isinstance(asked, list) else [asked])
        begins = LambdaCallback(
            on_train_start=self._begin, on_validation_start=self._begin, on_test_start=self._begin
        )
        kwargs["callbacks"] = [*watching, begins]
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The Trainer refuses an option of --trainer: {said(error)}."
            ) from error
        if not config.plugins:
            disable_slurm_requeue(trainer)
        return trainer

    def _begin(self, *_: object) -> None:
        self.begun = True

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

            offline = config.wandb == "offline"
            wandb = WandbLogger(self.name, csv.log_dir, offline=offline, project="lightning-gan")
            loggers.append(wandb)
        return loggers

    def _callbacks(self, asked: list[Callback]) -> list[Callback]:
        """The callbacks asked for, and of the default ones those whose kind was not."""
        trainer = self.config_init[self.subcommand].trainer
        fitting = self.subcommand == "fit"
        defaults: list[Callback] = [
            callbacks.Balance(),
            callbacks.EquilibriumStopping(),
            callbacks.CollapseGuard(),
            callbacks.StopOnDivergence(),
            callbacks.Evaluation(),
        ]
        if fitting:
            defaults.append(callbacks.SampleGrid())
        if trainer.enable_progress_bar is not False:
            defaults.append(callbacks.ImagesBar())
        if trainer.enable_checkpointing is not False and fitting:
            defaults.append(callbacks.LastCheckpoint())
            own = (callback for callback in asked if isinstance(callback, callbacks.Evaluation))
            evaluation = next(own, callbacks.Evaluation())
            if trainer.limit_val_batches != 0 and "frechet" in (evaluation.measures or MEASURES):
                name = extractor_for(self.datamodule, evaluation.extractor).name
                defaults.append(best_checkpoint(f"fid/{name}"))
        kinds = tuple(type(callback) for callback in asked)
        return asked + [default for default in defaults if not isinstance(default, kinds)]

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Checkpoints are read as plain data only; what was measured is printed by itself."""
        quiet = {} if subcommand == "fit" else {"verbose": False}
        return super()._prepare_subcommand_kwargs(subcommand) | {"weights_only": True} | quiet

    def _run_subcommand(self, subcommand: str) -> None:
        """Runs a command; what fails while a checkpoint is restored is the checkpoint's fault.

        Raises:
            WeightsError: If the checkpoint holds something that cannot be restored.
        """
        try:
            super()._run_subcommand(subcommand)
        except Exception as error:
            restoring = self.config_init[subcommand].ckpt_path and not self.begun
            if not restoring or mendable(error) is not None:
                raise
            raise WeightsError(
                f"The checkpoint cannot be restored ({type(error).__name__}: {said(error)[:200]}): "
                "take another checkpoint of the run, or build the model as it was."
            ) from error

    def before_fit(self) -> None:
        """Says where the run is written, and keeps other runs out."""
        if not is_dry_run(self.trainer):
            folder = run_folder(self.trainer)
            if self.trainer.is_global_zero:
                hold(folder)
            rank_zero_info(f"Writing to {folder}")

    def after_fit(self) -> None:
        """Measures the final generator and prints what came out of the run."""
        if is_dry_run(self.trainer):
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


def _parser_options(command: str) -> dict[str, object]:
    return {
        "allow_abbrev": False,
        "usage": f"lightning-gan {command} [--config NAME] [--model.OPTION VALUE] "
        "[--data NAME] [--data.OPTION VALUE] [--trainer.OPTION VALUE] ...",
        "description": DESCRIPTION.format(command=command),
    }
