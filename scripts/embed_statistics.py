"""Write the statistics of the reals that ship with the package, for which nobody has to wait then.

    python scripts/embed_statistics.py --root data

For each data set with an extractor of its own, mean and covariance of the features over the
training split go to ``lightning_gan/metrics/weights/statistics``. The key in the name and in the
file holds the extractor's weights and every byte of the images: with other data or weights the file
is passed over. What is there already is not made again, and what is of no use any more is deleted.
"""

from __future__ import annotations

import argparse

from checkout import ROOT

from lightning_gan.datamodules import CIFAR10, MNIST, Digits, RealData
from lightning_gan.evaluation.panel import extractor_for
from lightning_gan.metrics.frechet import ReferenceStatistics
from lightning_gan.metrics.reference import BUNDLED_FOLDER, CacheFile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--root", default="data", help="folder of the data, torchvision's layout")
    root = parser.parse_args().root
    sets: list[RealData] = [Digits(), MNIST(root, download=False), CIFAR10(root, download=False)]
    BUNDLED_FOLDER.mkdir(exist_ok=True)
    wanted = set()
    for data in sets:
        images, extractor = data.split("train").images, extractor_for(data)
        wanted.add(CacheFile(images, extractor, "train", data.name, BUNDLED_FOLDER).path)
        ReferenceStatistics.load_or_build(
            images, extractor, data_name=data.name, cache_dir=BUNDLED_FOLDER
        )
    for stale in set(BUNDLED_FOLDER.glob("*.safetensors")) - wanted:
        stale.unlink()
    for path in sorted(BUNDLED_FOLDER.glob("*.safetensors")):
        path.chmod(0o644)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
