"""Writes few pictures of one kind as files, which a recipe for pictures of one's own is tried on.

    python scripts/few_pictures.py data        # writes data/automobile500

They are the first that CIFAR-10 trains on of that class, as they come in its files.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from torchvision.datasets import CIFAR10

CLASS, COUNT = "automobile", 500


def few_pictures(data: Path) -> Path:
    """The folder with them, beside the data sets; what is there already is left as it is.

    Args:
        data: Folder in torchvision's layout; CIFAR-10 is downloaded where it is not there.
    """
    root = data / f"{CLASS}{COUNT}"
    if root.exists():
        return root
    pictures = CIFAR10(data, download=True)
    label = pictures.class_to_idx[CLASS]
    chosen = [n for n, found in enumerate(pictures.targets) if found == label][:COUNT]
    unfinished = root.with_name(f"{root.name}.part{os.getpid()}")
    unfinished.mkdir()
    for number, index in enumerate(chosen):
        pictures[index][0].save(unfinished / f"{number:03}.png")
    unfinished.rename(root)
    return root


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="where data sets lie")
    print(few_pictures(parser.parse_args().data))
