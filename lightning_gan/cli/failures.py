"""Which exceptions tell of something that a user can mend."""

import errno

from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_gan.distributed.strategy import lost_process
from lightning_gan.errors import LightningGANError, WeightsError


def mendable(error: Exception) -> Exception | None:
    """What a user can mend, its message for them to read; None for a defect of ours."""
    found = lost_process(error) or _full_disk(error) or error
    return found if isinstance(found, (LightningGANError, MisconfigurationException)) else None


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
