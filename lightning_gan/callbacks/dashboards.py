"""What W&B and TensorBoard are told of a run, so that it is found again and read in order."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lightning.pytorch.loggers import Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from lightning_gan.callbacks.loggers import AXIS
from lightning_gan.errors import ConfigurationError, said

PROJECT = "lightning-gan"


def wandb_logger(
    folder: str | Path,
    run_id: str,
    mode: Literal["offline", "online"],
    *,
    name: str | None = None,
    project: str | None = None,
    group: str | None = None,
    tags: Sequence[str] = (),
    title: str | None = None,
    recipe: str | None = None,
) -> WandbLogger:
    """A logger to W&B, the same run there after a resume.

    What is None is what the environment says (``WANDB_PROJECT``, ``WANDB_NAME``,
    ``WANDB_RUN_GROUP``, ``WANDB_TAGS``), or what the run is.

    Args:
        folder: Folder of the run, where W&B's files lie as well.
        run_id: The run's id, which W&B takes over.
        mode: Offline needs neither account nor network.
        name: Name of the run there.
        project: Project in W&B.
        group: What the run belongs to, as the seeds of one recipe do.
        tags: Further words.
        title: The name where neither the argument nor the environment gives one.
        recipe: The group where neither gives one.

    Raises:
        ConfigurationError: If the package is missing, or takes no such project or tag.
    """
    environment = os.environ.get
    project = project or environment("WANDB_PROJECT") or PROJECT
    words = [tag.strip() for tag in tags or environment("WANDB_TAGS", "").split(",")]
    words = [*filter(None, words)]
    try:
        logger = WandbLogger(
            name=name or environment("WANDB_NAME") or title,
            project=project,
            group=group or environment("WANDB_RUN_GROUP") or recipe,
            job_type=environment("WANDB_JOB_TYPE") or "fit",
            tags=words or None,
            save_dir=folder,
            id=run_id,
            resume="allow",
            offline=mode == "offline",
        )
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "--wandb needs the package wandb: pip install wandb, or leave --wandb out."
        ) from error
    _check_names(project, words)
    return logger


def _check_names(project: str, tags: Sequence[str]) -> None:
    """Refuses what W&B would refuse once it is started.

    Raises:
        ConfigurationError: If the project or a tag is none that it takes.
    """
    import wandb

    try:
        wandb.Settings(project=project, run_tags=tuple(tags))
    except (wandb.errors.Error, ValueError) as error:  # pydantic tells more than a sentence
        why = said(error).rpartition("Value error, ")[2].partition(" [type=")[0]
        raise ConfigurationError(
            f"W&B refuses a name ({why}): give another --wandb_project, or other --wandb_tags."
        ) from error


@rank_zero_only
def open_wandb(logger: WandbLogger) -> None:
    """Starts the run in W&B, which may need an account and a network.

    Raises:
        ConfigurationError: If W&B refuses, with the way out.
    """
    import wandb

    try:
        experiment = logger.experiment
    except (wandb.errors.Error, OSError) as error:
        raise ConfigurationError(
            f"W&B cannot be reached ({said(error)}): run wandb login once, or take --wandb offline "
            "and send the run later with wandb sync."
        ) from error
    experiment.define_metric(AXIS)
    experiment.define_metric("*", step_metric=AXIS)


def show_settings(logger: Logger, settings: dict[str, object], before: str | None = None) -> None:
    """Gives a logger the flattened configuration and all that the run is.

    Args:
        logger: The logger.
        settings: By dotted names.
        before: Name that the run had before this start; W&B replaces it where it shows it.
    """
    if isinstance(logger, WandbLogger):
        logger.experiment.config.update(settings, allow_val_change=True)
        if before is not None and logger.experiment.name == before != settings["run.name"]:
            logger.experiment.name = settings["run.name"]
    elif isinstance(logger, TensorBoardLogger):
        from torch.utils.tensorboard.summary import hparams

        plain = {
            key: x if isinstance(x, bool | int | float | str) else str(x)
            for key, x in settings.items()
        }
        # Not log_hyperparams, which adds points to a metric that nobody has measured.
        for written in hparams(plain, {}):  # type: ignore[no-untyped-call]  # torch's has none
            logger.experiment._get_file_writer().add_summary(written)
    else:
        logger.log_hyperparams(settings)
