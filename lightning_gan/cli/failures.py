"""Which exceptions tell of something that a user can mend."""

import errno
import traceback

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.trainer.connectors import checkpoint_connector

from lightning_gan.distributed.strategy import lost_process
from lightning_gan.errors import LightningGANError, WeightsError


def mendable(error: Exception) -> Exception | None:
    """What a user can mend, its message for them to read; None for a defect of ours."""
    found = lost_process(error) or _full_disk(error) or error
    return found if isinstance(found, (LightningGANError, MisconfigurationException)) else None


def comes_from_restoring(error: Exception) -> bool:
    """Whether an exception was raised while a checkpoint was taken up, and not for want of memory.

    Everything is taken up by Lightning's connector, which is then in the traceback.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    inside = any(frame.f_globals is vars(checkpoint_connector) for frame in frames)
    return inside and not isinstance(error, (MemoryError, torch.OutOfMemoryError))


def _full_disk(error: Exception) -> WeightsError | None:
    """What to say if ``error`` comes from a disk without room; None if it does not.

    Where a checkpoint did not fit either, what was said of it, which names the one to go on from.
    """
    full = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
    if not isinstance(error, OSError) or error.errno not in full:
        return None
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, WeightsError):
        cause = cause.__context__
    return cause or WeightsError(
        f"{error.filename or 'A file of the run'} could not be written ({error.strerror}): make "
        "room, and go on with --ckpt_path last."
    )
