"""Which exceptions tell of something that a user can mend."""

import errno
import traceback
from pathlib import Path

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.trainer.connectors import checkpoint_connector

import lightning_gan
from lightning_gan.callbacks.trainer_options import COMMAND_LINE
from lightning_gan.callbacks.unsuited import callback_that_raised, unlogged
from lightning_gan.distributed.strategy import lost_process
from lightning_gan.errors import LightningGANError, WeightsError, said

FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
"""No room on the disk, in a quota, or in a file."""

MENDS = {
    errno.EACCES: "change its permissions, or give another place",
    errno.EPERM: "change its permissions, or give another place",
    errno.EROFS: "give a place that can be written to",
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ENOENT: "check the name, and that its folder is there",
    errno.EISDIR: "give a file, or move the folder away",
    errno.ENOTDIR: "give a folder, or move the file away",
    errno.EEXIST: "move it away, or give another name",
    errno.ELOOP: "mend the link",
}
"""What to do about a file that the system refuses, by the number of the error."""


def mendable(error: Exception) -> Exception | None:
    """What a user can mend, its message for them to read; None for a defect of ours."""
    found = lost_process(error) or _of_a_file(error) or _of_a_callback(error) or error
    return found if isinstance(found, (LightningGANError, MisconfigurationException)) else None


def comes_from_restoring(error: Exception) -> bool:
    """Whether an exception was raised while a checkpoint was taken up, and not for want of memory.

    Everything is taken up by Lightning's connector, which is then in the traceback.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = any(frame.f_globals is vars(checkpoint_connector) for frame in frames)
    return inside and not isinstance(error, (MemoryError, torch.OutOfMemoryError))


def _of_a_file(error: Exception) -> LightningGANError | None:
    """What to say of a file that the system will not read or write; None of anything else.

    Where a disk is full, what was said of the checkpoint that did not fit either, if anything was.
    """
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError):
        return None
    if error.errno in FULL:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, WeightsError):
            cause = cause.__context__
        return cause or WeightsError(
            f"{error.filename or 'A file of the run'} could not be written ({error.strerror}): "
            "make room, and go on with --ckpt_path last."
        )
    name = error.filename2 or error.filename
    if not isinstance(name, str) or _is_ours(name):
        return None
    mend = MENDS.get(error.errno or 0, "look after its disk; what was written before is kept")
    return LightningGANError(f"{name} could not be read or written ({error.strerror}): {mend}.")


def _of_a_callback(error: Exception) -> LightningGANError | None:
    """What to say where a callback of Lightning's own gives up; None of anything else.

    The user has asked for it, or for what it should watch: it raises nothing for a defect of ours.
    """
    callback = callback_that_raised(error)
    if (found := unlogged(error, COMMAND_LINE)) is not None:
        return found
    if isinstance(error, MisconfigurationException) or callback is None:
        return None
    if not type(callback).__module__.startswith("lightning."):
        return None
    return LightningGANError(
        f"The callback {type(callback).__name__} has ended the run ({type(error).__name__}: "
        f"{said(error)}): mend that, or leave it out."
    )


def _is_ours(name: str) -> bool:
    """Whether a file belongs to this package."""
    return Path(lightning_gan.__file__).parent in Path(name).absolute().parents
