"""``curves.png`` is drawn from whatever has been logged, the same each time."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_gan.errors import ConfigurationError
from lightning_gan.runs.drawing import draw_curves, scatter

CURVES = """progress/images,loss/generator,loss/discriminator,gan/d_real,fid/x,fid/x_floor
64,1,2,0.6,,
128,1.5,1.8,0.7,50,0.5
192,nan,1.7,0.55,30,0.5
"""


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


def inked(picture: np.ndarray) -> list[bool]:
    """Whether each quarter of a picture holds more than a few words."""
    ink = (picture < 255).any(2)
    quarters = [ink[:325, :600], ink[:325, 600:], ink[325:, :600], ink[325:, 600:]]
    return [bool(quarter.mean() > 0.01) for quarter in quarters]


def test_a_picture_is_drawn_the_same_each_time(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text(CURVES)
    path = draw_curves(tmp_path)
    assert path == tmp_path / "curves.png"
    other = draw_curves(tmp_path, tmp_path / "new" / "other.png")
    assert other.read_bytes() == path.read_bytes()
    assert pixels(path).shape == (650, 1200, 3)


def test_what_was_not_measured_is_said_and_all_the_rest_drawn(tmp_path: Path) -> None:
    assert inked(pixels(draw_curves(tmp_path))) == [False] * 4
    (tmp_path / "metrics.csv").write_text(CURVES)
    assert inked(pixels(draw_curves(tmp_path))) == [True, True, True, False]


def test_curves_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        draw_curves(tmp_path)
    assert not (tmp_path / "curves.png").exists()


def shares(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where a picture is blue, and where it is grey but no line of the frame."""
    red, _, blue = picture.int()
    return blue > red + 60, (red == blue) & (red > 180) & (red < 230)


def test_points_are_drawn_in_blue_over_the_real_ones_in_grey() -> None:
    real = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    far = torch.tensor([[1.0, 1.0], [50.0, 0.0], [float("nan"), 0.0]])
    picture = scatter(far, real, size=200)
    assert picture.shape == (3, 200, 200)
    blue, grey = shares(picture)
    rows, columns = blue.nonzero().T
    assert 0 < len(rows) < 30  # the one of three that lies in the frame
    assert rows.max() < 100 < columns.min()
    assert grey[:100, :100].any()
    assert grey[100:, :100].any()
    assert torch.equal(picture, scatter(far, real, size=200))


@pytest.mark.parametrize("points", [torch.full((3, 2), torch.nan), torch.zeros(3, 2)])
def test_points_that_are_lost_or_all_the_same_are_drawn_too(points: torch.Tensor) -> None:
    blue, _ = shares(scatter(points, size=100))
    assert bool(blue.any()) == bool(points.isfinite().all())


def test_only_who_draws_imports_matplotlib() -> None:
    code = "import sys, lightning_gan.runs.drawing, lightning_gan.runs.page as page; page.page; "
    code += "assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
