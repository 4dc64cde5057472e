"""Validations that are due by images, each once, whenever the run was stopped."""

from lightning.pytorch import Trainer

NEVER = 10**18
"""Batches that no epoch has."""

IMAGES_BETWEEN = 100_000
"""Images between two validations that are few: ten times as many as one of them generates."""


def images_between(data: object) -> int:
    """Images between two validations that take a small share of the time: an epoch or more."""
    split = getattr(data, "split", None)
    return max(IMAGES_BETWEEN, len(split("train").images) if split is not None else 0)


def take_over(trainer: Trainer) -> None:
    """Leaves it to :func:`plan` when there is a validation: Lightning counts epochs."""
    trainer.check_val_every_n_epoch, trainer.val_check_interval = None, NEVER


def plan(trainer: Trainer, due: bool) -> None:
    """Lets the Trainer validate after the batch at hand, or not."""
    trainer.val_check_batch = 1 if due or trainer.should_stop else NEVER


def make_up(trainer: Trainer) -> None:
    """Makes a validation that was due when the run was stopped; Lightning leaves it out."""
    loop = trainer.fit_loop.epoch_loop.val_loop
    loop.restarting = False  # or it would go on after the batches of the last one
    trainer.validating = True
    loop.run()
    trainer.training = True
