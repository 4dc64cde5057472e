"""``lightning-gan fit``, ``validate`` and ``test``: LightningCLI with checks and defaults."""

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from functools import partialmethod, reduce
from operator import or_
from pathlib import Path
from typing import Any, NoReturn, get_args

import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import Logger, WandbLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only

from lightning_gan.basics.texts import counted, folded, quoted
from lightning_gan.basics.words import unknown
from lightning_gan.callbacks.base import is_dry_run, run_folder
from lightning_gan.callbacks.dashboards import open_wandb, wandb_logger
from lightning_gan.callbacks.fitting import (
    TRAINER_DEFAULTS,
    curve_of,
    default_callbacks,
    described,
    finish,
    forget_if_unused,
)
from lightning_gan.callbacks.loggers import CSVCurve, TensorBoardHistory
from lightning_gan.callbacks.measurements import measurements
from lightning_gan.callbacks.preemption import disable_slurm_requeue, refuse_slurm_checkpoints
from lightning_gan.callbacks.recorder import Recorder, title_of
from lightning_gan.callbacks.summary import LABELS, measured, write_reports
from lightning_gan.callbacks.trainer_options import COMMAND_LINE, check_budget, refusals
from lightning_gan.checkpoints.files import checkpoint_in, newest_checkpoint, read_checkpoint
from lightning_gan.checkpoints.identity import changes, identity_of, setting_of
from lightning_gan.checkpoints.pretrained import PREFIX
from lightning_gan.checkpoints.record import own_state
from lightning_gan.cli import configuration, named_parts
from lightning_gan.cli.arguments import given, names_seed, options_of, recipe_of, run_name
from lightning_gan.cli.commands import TRAINER_COMMANDS
from lightning_gan.cli.failures import comes_from_restoring, mendable
from lightning_gan.cli.options import RUN_OPTIONS
from lightning_gan.cli.parser import Parser
from lightning_gan.datamodules import RealData
from lightning_gan.errors import (
    AnotherRunError,
    ConfigurationError,
    LightningGANError,
    WeightsError,
    said,
)
from lightning_gan.gan import GAN
from lightning_gan.networks.layout import gains_from_bfloat16
from lightning_gan.runs.listing import Run
from lightning_gan.runs.lock import hold
from lightning_gan.runs.record import RunRecord, run_folders

PRINTED = {"skip_default": "skip_default", "skip_null": "skip_unset", "skip_unset": "skip_unset"}
"""What ``--print_config=FLAG`` may leave out, as jsonargparse calls it."""

CANNOT_BE_WRITTEN = re.compile(r"\('cannot represent an object', (.*)\)")
"""What YAML says of an object that is no plain value."""

FASTER = (
    "This processor multiplies bfloat16 by itself: --trainer.precision bf16-mixed makes networks "
    "like these faster here, except in updates with a penalty on gradients, which stay in float32."
)


class TrainingParser(Parser, LightningArgumentParser):
    """The same with what LightningCLI asks of a parser."""

    # What is missing a recipe may bring, or the program asks for it.
    add_lightning_class_args = partialmethod(
        LightningArgumentParser.add_lightning_class_args, required=False
    )


class CLI(LightningCLI):
    """``lightning-gan fit | validate | test``."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = [each for each in arguments if not _is_print(each)]
        self.printing = next((each for each in arguments if _is_print(each)), None)
        """The option by which settings are printed and nothing runs; None where it is not given."""
        self.name, self.recipe = run_name(arguments), recipe_of(arguments)
        self.wandb: WandbLogger | None = None
        self.curves: list[CSVCurve] = []
        """That of a training; where it lies is the folder of the run."""
        try:
            self._parse_and_run()
        finally:
            for curve in self.curves:
                self._drop_unused_config(Path(curve.log_dir))
                forget_if_unused(curve)

    @rank_zero_only
    def _drop_unused_config(self, folder: Path) -> None:
        """Removes the configuration of a start that trained nothing."""
        name, used = self.save_config_kwargs["config_filename"], set()
        with contextlib.suppress(ConfigurationError):
            used = {segment.config for segment in RunRecord.read(folder).segments}
        if name not in used:
            (folder / name).unlink(missing_ok=True)

    def _set_seed(self) -> None:
        """Seeds all generators.

        Raises:
            ConfigurationError: If the seed is none that they take.
        """
        seed = self._get(self.config, "seed_everything")
        if seed is False or not 0 <= int(seed) < 2**32:
            raise ConfigurationError(
                f"--seed_everything must be a whole number from 0 to {2**32 - 1:,}, not {seed}."
            )
        super()._set_seed()

    def _parse_and_run(self) -> None:
        super().__init__(
            GAN,
            RealData,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            seed_everything_default=0,
            trainer_defaults=TRAINER_DEFAULTS | {"check_val_every_n_epoch": None},
            parser_class=TrainingParser,
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: object) -> None:
        """Reads the command line; parts that are called by their names last.

        ``--print_config`` is not among the arguments and answered later.
        """
        found = named_parts.split(self.arguments)
        self.config = parser.parse_args(found.rest)
        command = self.config.subcommand
        named_parts.refuse_unclear(self.config[command], found.rest)
        named_parts.change(self.config[command], found.named)
        whole = self.config[command].model and self.config[command].data
        if self.printing is not None and not whole:  # there is nothing yet that would run
            self._print(self.config[command])

    def _print(self, config: Namespace) -> NoReturn:
        """Prints settings and ends.

        Raises:
            ConfigurationError: If a flag of ``--print_config`` is none.
        """
        flags = [*filter(None, str(self.printing).partition("=")[2].split(","))]
        for flag in flags:
            if flag not in PRINTED:
                raise unknown("flag of --print_config", flag, PRINTED)
        options = {"skip_unset": False} | dict.fromkeys((PRINTED[flag] for flag in flags), True)
        sys.stdout.write(self._written_out(config, **options))
        raise SystemExit(0)

    def _written_out(self, config: Namespace, **options: bool) -> str:
        """Settings as the YAML of a file.

        Raises:
            ConfigurationError: If a callback holds something that no file can hold.
        """
        parser = self._parser(self.config.subcommand)
        try:
            text: str = parser.dump(config, skip_validation=True, **options)
        except (ValueError, yaml.YAMLError) as error:
            found = CANNOT_BE_WRITTEN.search(str(error))
            held = found[1] if found else said(error)[:200]
            raise ConfigurationError(
                f"A setting cannot be written to the run's configuration: a part holds {held}, "
                "which no file can hold; set that option otherwise, or leave the part out."
            ) from error
        return text

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The commands that run through the Trainer, with the arguments that are not options."""
        loaders = {"dataloaders", "train_dataloaders", "val_dataloaders"}
        skip = loaders | {"model", "datamodule", "weights_only", "verbose"}
        return dict.fromkeys(TRAINER_COMMANDS, skip)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """What is about the run as a whole."""
        for name, option in RUN_OPTIONS.items():
            parser.add_argument(
                f"--{name}", type=option.type, default=option.default, help=option.help
            )
        # Python keeps one union for `int or float` and `float or int`, whichever came first, so
        # that jsonargparse may read 1 batch as all of them.
        actions: list[Any] = [*parser._actions]
        for action in actions:
            kinds = get_args(getattr(action, "_typehint", None))
            if {int, float} <= {*kinds}:
                others = [kind for kind in kinds if kind not in (int, float)]
                action._typehint = reduce(or_, others, int | float)

    def _parse_ckpt_path(self) -> None:
        """Leaves the configuration alone: a checkpoint must not override what was asked for."""

    def before_instantiate_classes(self) -> None:
        """Fills in sizes, folders and the strategy; refuses budgets that make no sense."""
        config = self.config[self.subcommand]
        configuration.fill_sizes(config)
        if config.seed_everything is not True:
            for part in ("model", "data"):
                if not names_seed(self.arguments, part):
                    config[part].init_args["seed"] = int(config.seed_everything)
        trainer = config.trainer
        asked = options_of(self.arguments)
        configuration.fill_schedule(config, asked)
        configuration.fill_rates(config, asked)
        configuration.share_batches(config)
        root = trainer.default_root_dir or f"runs/{self.name}"  # of a file it may begin with ~
        trainer.default_root_dir = os.path.expanduser(root)  # noqa: PTH111 (an address stays one)
        self.resumed = None if self.printing else self._find_checkpoint(config)
        configuration.check_trainer(trainer)
        configuration.check_processes(trainer)
        trainer.strategy = configuration.fitting_strategy(trainer)
        if self.subcommand != "fit":
            self.save_config_callback = None  # measuring leaves the run as it is
        elif not self.printing:
            refuse_slurm_checkpoints(trainer.default_root_dir, config.get("ckpt_path"))
            check_budget(vars(trainer), config.model.init_args.get("max_images"), COMMAND_LINE)

    def _find_checkpoint(self, config: Namespace) -> Path | None:
        """Replaces "last" and "best" by the newest such file of the run; reads it once."""
        asked = config.get("ckpt_path")
        if asked == "":
            raise ConfigurationError("--ckpt_path is empty: give last, best, or a checkpoint file.")
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
            if found is not None:
                does = "Going on with" if self.subcommand == "fit" else "Measuring"
                rank_zero_info(f"{does} {found}{_told(found)}")
        elif asked is None and self.subcommand != "fit":
            raise ConfigurationError(
                f"{self.subcommand} measures a trained generator: give --ckpt_path last, best, or "
                "a checkpoint file."
            )
        elif asked is not None and Path(asked).is_dir():
            config.ckpt_path = str(checkpoint_in(asked))
        if config.get("ckpt_path"):
            read_checkpoint(config.ckpt_path)
        if not config.get("ckpt_path") or asked == "best":
            return None
        # A run goes on in its own folder; one from elsewhere, in a new folder below this root.
        path = Path(config.ckpt_path)
        return path if root.resolve() in path.resolve().parents else None

    def instantiate_trainer(self, **kwargs: object) -> Trainer:
        """Adds the default loggers and callbacks to what was asked for.

        Raises:
            ConfigurationError: If the Trainer refuses an option.
            DataError: If the data are not where they should be.
        """
        if not self.printing:
            self.datamodule.check_place()
        self.model.allow_changes = self.config_init[self.subcommand].resume.allow_changes
        config = self.config_init[self.subcommand].trainer
        watching = self._watching(config)
        if self.printing:
            self._print(self._with_callbacks(watching))
        self._written_out(self.config[self.subcommand])  # as a run begins with it
        matmul = self.config_init[self.subcommand].matmul_precision
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        own = [] if isinstance(config.logger, bool | None) else config.logger
        recorder = self._recorder() if self.subcommand == "fit" else None
        kwargs["logger"] = self._loggers(recorder) + (own if isinstance(own, list) else [own])
        watching += [] if recorder is None else [recorder]
        kwargs["callbacks"] = watching
        kwargs["check_val_every_n_epoch"] = configuration.epochs_between_validations(config)
        with refusals("--trainer"):
            trainer = super().instantiate_trainer(**kwargs)
        if not config.plugins:
            disable_slurm_requeue(trainer)
        return trainer

    def _watching(self, trainer: Namespace) -> list[Callback]:
        """The callbacks that were asked for, and the usual ones."""
        bar = trainer.enable_progress_bar is not False
        asked = trainer.callbacks or []
        asked = asked if isinstance(asked, list) else [asked]
        return default_callbacks(
            self.datamodule,
            [callback for callback in asked if bar or not isinstance(callback, ProgressBar)],
            fitting=self.subcommand == "fit",
            bar=bar,
            checkpoints=trainer.enable_checkpointing is not False,
            validating=trainer.limit_val_batches != 0,
        )

    def _with_callbacks(self, watching: Sequence[Callback]) -> Namespace:
        """The settings with all callbacks that would watch, which no command line names."""
        config = self.config[self.subcommand].clone()
        asked = config.trainer.callbacks or []
        asked = asked if isinstance(asked, list) else [asked]
        usual = [described(callback) for callback in watching[len(asked) :]]
        alone = {"trainer": {"callbacks": usual}}
        parsed = self._parser(self.subcommand).parse_object(alone)
        config.trainer.callbacks = asked + parsed.trainer.callbacks
        return config

    def _recorder(self) -> Recorder:
        """What keeps the record: the run's own, where it goes on."""
        config = self.config_init[self.subcommand]
        self.curves = [curve_of(config.trainer.default_root_dir, self.resumed)]
        folder = Path(self.curves[0].log_dir)
        # Each start has a file of its own for its configuration; what stands there stays.
        numbers = [path.stem.partition("-")[2] for path in folder.glob("config*.yaml")]
        earlier = max((int(each) if each.isdecimal() else 1 for each in numbers), default=0)
        name = f"config-{earlier + 1}.yaml" if earlier else "config.yaml"
        self.save_config_kwargs["config_filename"] = name
        differs, recipe, known = given(self.arguments), self.recipe, None
        title = title_of(recipe, differs, self.model.game.seeds.seed)
        with contextlib.suppress(ConfigurationError):
            before = RunRecord.read(folder)
            # Whatever the file of this start is called; the recorder knows what is changed.
            known, recipe, title = before.id, before.recipe or recipe, before.name
        return Recorder(config.run_name or title, recipe, differs, name, known)

    def _loggers(self, recorder: Recorder | None) -> list[Logger]:
        """The curve of a training; TensorBoard and W&B where asked for."""
        config = self.config_init[self.subcommand]
        if recorder is None:
            return []
        folder = self.curves[0].log_dir
        loggers: list[Logger] = [*self.curves]
        if config.tensorboard:
            loggers.append(TensorBoardHistory(folder, *self._seen()))
        if config.wandb != "off":
            wandb = wandb_logger(
                folder,
                recorder.run_id,
                config.wandb,
                name=config.run_name,
                project=config.wandb_project,
                group=config.wandb_group,
                tags=config.wandb_tags.split(",") if config.wandb_tags else (),
                title=recorder.name,
                recipe=recorder.recipe,
            )
            self.wandb = wandb
            loggers.append(wandb)
        return loggers

    def _seen(self) -> tuple[int, int] | tuple[()]:
        """Images that the run goes on from, and those of its last validation; nothing if new."""
        if self.resumed is None:
            return ()
        state = own_state(read_checkpoint(self.resumed), str(self.resumed))
        return int(state["progress"]["images"]), int(state.get("images_validated", 0))

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
        except AnotherRunError as error:
            raise AnotherRunError(f"{said(error)}.{self._match()}") from error
        except Exception as error:
            if mendable(error) is not None or not comes_from_restoring(error):
                raise
            raise WeightsError(
                f"The checkpoint cannot be restored ({type(error).__name__}: {said(error)[:200]}): "
                "take another checkpoint of the run, or build the model as it was."
            ) from error

    def _match(self) -> str:
        """Says which run below the root is this one, if any is."""
        ours = identity_of(self.model.hparams, setting_of(self.trainer))
        root = Path(self.config_init[self.subcommand].trainer.default_root_dir)
        found = []
        for folder in run_folders(root):
            with contextlib.suppress(ConfigurationError):
                record = RunRecord.read(folder)
                path = folder / "checkpoints" / "last.ckpt"
                if path.is_file() and not changes(record.identity, ours):
                    found.append((record.updated, path))
        if not found:
            return ""
        return f" The newest run that matches is --ckpt_path {quoted(max(found)[1])}."

    def before_fit(self) -> None:
        """Says where the run is written, and keeps other runs out."""
        if not is_dry_run(self.trainer):
            folder = run_folder(self.trainer)
            if self.trainer.is_global_zero:
                hold(folder)
            if self.wandb is not None:  # not before the folder is this run's alone
                open_wandb(self.wandb)
            rank_zero_info(f"Writing to {folder}")
            rank_zero_info(self._plan())
            players = self.model.generator, self.model.discriminator
            device = self.trainer.strategy.root_device
            if gains_from_bfloat16(players, device, self.trainer.precision):
                rank_zero_info(FASTER)

    def _plan(self) -> str:
        """How much is done how often, with all that may end the training."""
        processes, each = self.trainer.world_size, self.datamodule.batch_size
        total, images = processes * each, self.model.max_images
        shared = f"{processes} processes × {each} = batches of {total}" if processes > 1 else ""
        limits = []
        if images is not None:
            limits.append(f"{counted(-(-images // total), 'batch')} for {counted(images, 'image')}")
        if self.trainer.max_steps != -1:
            limits.append(f"{counted(self.trainer.max_steps, 'update')} of the generator")
        if self.trainer.max_epochs not in (None, -1):
            limits.append(counted(self.trainer.max_epochs, "epoch"))
        if (time := self.config_init[self.subcommand].trainer.max_time) is not None:
            limits.append(f"a time of {time}")
        first = ", whichever comes first" if len(limits) > 1 else ""
        budget = f"{', or '.join(limits)}{first}"
        return "; ".join(filter(None, (shared or f"Batches of {total}", budget)))

    def after_fit(self) -> None:
        """Measures the final generator and prints what came out of the run."""
        finish(self.trainer, self.model, self.datamodule)

    def _measured_run(self) -> Path:
        """The folder of the run whose checkpoint is measured, or that of the file."""
        checkpoint = Path(self.config_init[self.subcommand].ckpt_path)
        inside = checkpoint.parent.name == "checkpoints"
        return checkpoint.parents[1 if inside else 0]

    def before_validate(self) -> None:
        """Looks up which run is measured; that of a model of the package is not here."""
        if str(self.config_init[self.subcommand].ckpt_path).startswith(PREFIX):
            return
        with contextlib.suppress(ConfigurationError):
            measurements(self.trainer).record = RunRecord.read(self._measured_run())

    def after_validate(self) -> None:
        """Prints what was measured, and writes it to a file beside the checkpoint."""
        if self.trainer.is_global_zero:
            for text in (measured(self.trainer, self.model) + "\n", self._write_reports()):
                sys.stdout.write(folded(text, sys.stdout, LABELS))

    def _write_reports(self) -> str:
        return write_reports(self.trainer, self._measured_run())

    before_test, after_test = before_validate, after_validate


def _is_print(argument: str) -> bool:
    return argument.partition("=")[0] == "--print_config"


def _told(checkpoint: Path) -> str:
    """What a run was, in brackets, where it has a record.

    How far one has come that was killed, its checkpoint alone may know.
    """
    try:
        run = Run.read(checkpoint.parents[1])
        images = run.record.images
        if run.state != run.record.state:
            state = own_state(read_checkpoint(checkpoint), str(checkpoint))
            images = max(images, state["progress"]["images"])
    except LightningGANError:  # which is refused later, if it is the checkpoint's
        return ""
    return f" ({run.record.name}; {run.state} after {images:,} images)"
