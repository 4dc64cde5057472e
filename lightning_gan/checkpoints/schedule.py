"""Validations that are due, by images or epochs, each once, whenever the run was stopped."""

from typing import Literal

from lightning.pytorch import Trainer

from lightning_gan.training.batches import split_of

Due = Literal["", "schedule", "end"]
"""What a validation after a batch is due by: nothing, its schedule, or the training's end alone."""

NEVER = 10**18
"""Batches that no epoch has."""

IMAGES_BETWEEN = 100_000
"""Images between two validations that are few: ten times as many as one of them generates."""


def images_between(data: object) -> int:
    """Images between two validations that take a small share of the time: an epoch or more."""
    split = split_of(data)
    return max(IMAGES_BETWEEN, len(split("train").images) if split is not None else 0)


def take_over(trainer: Trainer) -> None:
    """Leaves it to :func:`plan` when there is a validation: Lightning counts epochs."""
    trainer.check_val_every_n_epoch, trainer.val_check_interval = None, NEVER


def due_by(trainer: Trainer, every: int | None, images: int, validated: int) -> Due:
    """Whether a validation is due after the batch at hand, and by what.

    Args:
        trainer: The Trainer.
        every: Images between two validations; None for the Trainer's own schedule.
        images: Images seen.
        validated: Those of the last validation.
    """
    if images == validated:
        return ""
    if every is None:
        scheduled, at_end = _by_trainer(trainer)
    else:
        scheduled = images // every > validated // every
        at_end = trainer.should_stop or _is_last_batch(trainer)
    # Asked last, since it takes time. Without validations one would stay due with every batch.
    if not (scheduled or at_end) or not trainer.enable_validation:
        return ""
    return "schedule" if scheduled else "end"


def _is_last_batch(trainer: Trainer) -> bool:
    """Whether the Trainer's own budget, of steps or epochs, is spent with the batch at hand."""
    steps, epochs = trainer.max_steps, trainer.max_epochs
    last_step = steps not in (None, -1) and trainer.global_step >= steps
    last_epoch = epochs not in (None, -1) and trainer.current_epoch + 1 >= epochs
    return last_step or (last_epoch and trainer.is_last_batch)


def _by_trainer(trainer: Trainer) -> tuple[bool, bool]:
    """Whether Lightning validates after this batch, were it not the last one, and if it is."""
    loop, fetcher = trainer.fit_loop.epoch_loop, trainer.fit_loop._data_fetcher
    assert fetcher is not None
    now = loop._should_check_val_fx(fetcher)
    if not trainer.should_stop:
        return now, now
    trainer.should_stop = False
    otherwise = loop._should_check_val_fx(fetcher)
    trainer.should_stop = True
    return otherwise, now


def plan(trainer: Trainer, due: Due) -> None:
    """Lets the Trainer validate after the batch at hand, or not."""
    trainer.val_check_batch = 1 if due else NEVER


def make_up(trainer: Trainer, due: Due) -> None:
    """Makes a validation that was due when the run was stopped; Lightning leaves it out.

    One that was due by the end alone is not where a larger budget has moved the end.
    """
    if not due or (due == "end" and not trainer.should_stop):
        return
    loop = trainer.fit_loop.epoch_loop.val_loop
    loop.restarting = False  # or it would go on after the batches of the last one
    trainer.validating = True
    loop.run()
    trainer.training = True
