"""Where numbers are computed in full precision."""

from contextlib import AbstractContextManager, nullcontext

import torch


def outside_autocast(device: torch.device) -> AbstractContextManager[object]:
    """What is computed within is not autocast, whatever surrounds it.

    Args:
        device: Where it is computed.
    """
    # Entering torch.autocast costs more than a small layer, and there is seldom anything to leave.
    if torch.is_autocast_enabled(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
