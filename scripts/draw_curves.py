"""Draws the curves of a run against the images seen.

python scripts/draw_curves.py runs/dcgan_digits/version_0 .github/pictures/quickstart_curves.png
"""

import sys
from pathlib import Path

import checkout  # noqa: F401 - finds the package

from lightning_gan.runs.drawing import draw_curves

if __name__ == "__main__":
    draw_curves(Path(sys.argv[1]), Path(sys.argv[2]))
