"""Samples of a run in Python, for ``scripts/walks/researcher.sh``."""

import ours  # noqa: F401 - the parts that the checkpoint names

import lightning_gan

gan = lightning_gan.load("runs/moons")  # the newest run there
for name in gan.class_names:
    points = gan.sample(1000, name, seed=1)
    x, y = points.mean(dim=0).tolist()
    print(f"{name}: {len(points)} points around ({x:.2f}, {y:.2f})")
