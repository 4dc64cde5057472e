"""The SHA-256 of all weights in a checkpoint, averages and optimizers included."""

import hashlib
import sys
from collections.abc import Iterator
from typing import Any

import torch


def tensors(value: Any) -> Iterator[torch.Tensor]:  # noqa: ANN401 (what a checkpoint holds)
    """All tensors inside, in their order."""
    if isinstance(value, torch.Tensor):
        yield value
    for inner in value.values() if isinstance(value, dict) else ():
        yield from tensors(inner)


for path in sys.argv[1:]:
    checkpoint = torch.load(path, weights_only=True)
    digest = hashlib.sha256()
    for part in (checkpoint["state_dict"], *checkpoint["optimizer_states"]):
        for tensor in tensors(part):
            digest.update(tensor.contiguous().numpy().tobytes())
    print(digest.hexdigest()[:32], path)
