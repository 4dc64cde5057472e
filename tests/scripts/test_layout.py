"""The benchmark of layouts and of bfloat16: its steps train, and its table says what was asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from benchmarks import layout
from tiny import distance, weights

from lightning_gan.networks import R3GANDiscriminator, R3GANGenerator

SIZES = {"channels": 1, "image_size": 8, "widths": (8, 4), "group_size": 4}
TINY = layout.Family(
    lambda: (R3GANGenerator(latent_dim=4, **SIZES), R3GANDiscriminator(**SIZES)), batch=4
)


def test_every_side_makes_the_same_steps_but_for_rounding() -> None:
    ends = {}
    for name, how in layout.SIDES.items():
        side = layout.Side(TINY, 1, *how)
        start = weights(side.gan)
        side.step()
        ends[name] = weights(side.gan.discriminator)
        assert distance(start, weights(side.gan)) > 1e-5
    reference = ends.pop("float32")
    assert distance(reference, ends["float32, channels_last"]) < 1e-6
    # the fakes of a generator in bfloat16 move a step of Adam more than rounding does
    assert all(distance(reference, end) < 5e-3 for end in ends.values())


def test_r1_is_due_as_often_as_was_asked() -> None:
    side = layout.Side(TINY, layout.PENALTIES["lazy"], False, False)
    player = side.gan.game.player("discriminator")
    due = []
    for _ in range(9):
        due.append(bool(player.due(side.progress.updates("discriminator"))))
        side.step()
    assert due == [True, *[False] * 7, True]


def test_the_table_and_the_file_have_every_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(layout, "FAMILIES", {"tiny": TINY, "other": TINY})
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    path = tmp_path / "layout.json"
    layout.main(["--families", "ti", "--penalties", "none", "r1", "--rounds=2", f"--json={path}"])
    lines = json.loads(path.read_text())["results"]
    assert [(line["family"], line["penalty"]) for line in lines] == [
        ("tiny", "none"),
        ("tiny", "r1"),
    ]
    assert all(line["sides"].keys() == layout.SIDES.keys() for line in lines)
    assert all(line["sides"]["float32"]["times_as_fast"] == 1 for line in lines)
    assert "| tiny | r1 |" in capsys.readouterr().out


def test_a_family_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        layout.main(["--families", "nobody's"])
    assert "there is no such family: MLP, 28 px, DCGAN" in capsys.readouterr().err
