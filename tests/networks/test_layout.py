"""The layout of maps in memory: chosen where it pays, without a trace in anything but speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import distance, fit, picture_gan, points_gan, weights
from torch import Tensor, nn
from zoo import own, with_network

import lightning_gan
from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.networks import (
    Discriminator,
    Generator,
    LabelMaps,
    MinibatchDiscrimination,
    MLPDiscriminator,
    MLPGenerator,
    Packed,
    layout,
)
from lightning_gan.networks.layout import gains_from_bfloat16, has_bfloat16, lay_out

CPU, GPU = torch.device("cpu"), torch.device("cuda")
KINDS = [*own(Generator), *own(Discriminator)]
WRAPPERS = (Packed, LabelMaps, MinibatchDiscrimination)


def is_last(network: nn.Module) -> bool:
    """Whether all kernels of a network, of which there are some, lie with their channels last."""
    kernels = [weight for weight in network.parameters() if weight.ndim == 4]
    strides = [kernel.stride(1) for kernel in kernels if kernel[0, 0].numel() > 1]
    return bool(strides) and set(strides) == {1}


def player(kind: type[Any]) -> str:
    return "generator" if issubclass(kind, Generator) else "discriminator"


@pytest.mark.parametrize("kind", KINDS)
def test_the_layout_changes_no_result(kind: type[Any]) -> None:
    def trained(channels_last: bool) -> dict[str, Tensor]:
        gan = with_network(kind)
        gan.channels_last = channels_last
        return weights(fit(gan, 3, precision="64-true"))

    contiguous, last = trained(False), trained(True)
    assert distance(contiguous, last) < 1e-10
    for name, value in last.items():
        assert value.shape == contiguous[name].shape


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", [layout.SINGLE, layout.HALF])
def test_each_family_trains_in_the_layout_that_pays(kind: type[Any], precision: Any) -> None:
    gan = with_network(kind)
    network = getattr(gan, player(kind))
    start = {name: value.stride() for name, value in gan.generator_ema.state_dict().items()}
    fit(gan, 1, precision=precision)
    assert is_last(network) == network.channels_last_pays
    after = {name: value.stride() for name, value in gan.generator_ema.state_dict().items()}
    assert after == start


@pytest.mark.parametrize("kind", WRAPPERS)
def test_a_wrapper_gains_what_the_network_inside_gains(kind: type[Any]) -> None:
    network: Any = with_network(kind).discriminator
    assert network.channels_last_pays
    assert network.bfloat16_pays


@pytest.mark.parametrize("asked", [True, False])
def test_a_layout_that_is_asked_for_is_taken_everywhere(asked: bool) -> None:
    for device in (CPU, GPU):
        gan = picture_gan()
        lay_out([gan.discriminator], device, "32-true", asked)
        assert is_last(gan.discriminator) == asked


def test_a_layout_that_nobody_has_measured_is_left_alone() -> None:
    for device, precision in ((GPU, "bf16-mixed"), (CPU, "64-true"), (CPU, "16-mixed")):
        gan = picture_gan()
        lay_out([gan.generator, gan.discriminator], device, precision)
        assert not is_last(gan.generator)
        assert not is_last(gan.discriminator)


def test_without_the_convolutions_that_were_measured_the_layout_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    gan = picture_gan()
    lay_out([gan.discriminator], CPU, layout.SINGLE)
    assert not is_last(gan.discriminator)


def test_points_have_no_layout() -> None:
    fit(points_gan(channels_last=True), 1)


def test_samples_are_the_same_bits_before_and_after_a_checkpoint(tmp_path: Path) -> None:
    gan = fit(
        picture_gan(channels_last=True), 3, default_root_dir=tmp_path, callbacks=[LastCheckpoint()]
    )
    assert is_last(gan.generator)
    again = lightning_gan.load(tmp_path / "checkpoints" / "last.ckpt")
    assert not is_last(again.generator)
    assert torch.equal(again.sample(5, seed=1), gan.sample(5, seed=1))
    assert distance(weights(again), weights(gan)) == 0


def test_only_a_run_in_float32_on_a_processor_with_bfloat16_would_gain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gan = picture_gan()
    players = gan.generator, gan.discriminator
    monkeypatch.setattr(layout, "has_bfloat16", lambda: True)
    assert gains_from_bfloat16(players, CPU, "32-true")
    assert not gains_from_bfloat16(players, GPU, "32-true")
    assert not gains_from_bfloat16(players, CPU, "bf16-mixed")
    perceptrons = MLPGenerator(1, 8, width=8), MLPDiscriminator(1, 8, 8)
    assert not gains_from_bfloat16(perceptrons, CPU, "32-true")
    monkeypatch.setattr(layout, "has_bfloat16", lambda: False)
    assert not gains_from_bfloat16(players, CPU, "32-true")


@pytest.mark.parametrize("found", [{"avx512"}, {"avx512_bf16"}, {"amx_tile"}, set()])
def test_bfloat16_is_there_where_one_of_two_instructions_is(
    found: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("avx512", "avx512_bf16", "amx_tile"):
        has = name in found
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda has=has: has, raising=False)
    assert has_bfloat16() == bool(found & {"avx512_bf16", "amx_tile"})


def test_a_version_of_torch_that_cannot_tell_counts_as_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not has_bfloat16()
