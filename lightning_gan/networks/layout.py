"""How maps lie in memory while a network trains, and whether bfloat16 would make it faster.

Each family of networks says which layout pays, as ``scripts/benchmarks/layout.py`` has measured it;
here is the one place that follows. The layout is that of weights in memory: values, shapes, names
and whatever is saved stay the same, and results differ by rounding alone.
"""

from collections.abc import Iterable

import torch

from lightning_gan.networks.base import Network

SINGLE, HALF = "32-true", "bf16-mixed"
"""The Trainer's precisions that were measured."""


def lay_out(
    networks: Iterable[Network], device: torch.device, precision: object, asked: bool | None = None
) -> None:
    """Brings the weights of networks of images into the layout that they are fastest in.

    Maps follow the weights: a convolution gives what lies as its weights do.

    Args:
        networks: The networks, which are changed in place.
        device: Where they will be; layouts were measured on a CPU with oneDNN's convolutions, and
            are left alone elsewhere.
        precision: Of the Trainer.
        asked: Whether to lay all of them out as (N, H, W, C), whatever was measured.
    """
    known = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    measured = known and device.type == "cpu" and precision in (SINGLE, HALF)
    for network in networks:
        pays = measured and network.channels_last_pays
        if network.image_size and (pays if asked is None else asked):
            network.to(memory_format=torch.channels_last)


def gains_from_bfloat16(
    networks: Iterable[Network], device: torch.device, precision: object
) -> bool:
    """Whether a run in float32 would be faster in bfloat16, by what was measured.

    Args:
        networks: The networks that train.
        device: Where they train.
        precision: Of the Trainer.
    """
    could = device.type == "cpu" and precision == SINGLE and has_bfloat16()
    return could and all(network.bfloat16_pays for network in networks)


def has_bfloat16() -> bool:
    """Whether the processor itself multiplies bfloat16, as those with AVX512-BF16 or AMX do.

    Others are as right and slower: PyTorch converts there and back.
    """
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    found = (getattr(torch.cpu, name, None) for name in names)  # not in every version of torch
    return any(supported is not None and supported() for supported in found)
