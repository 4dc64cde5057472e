"""What bfloat16 and the layout of images are worth, for every family of networks.

    python scripts/benchmark.py layout                                  a table, and layout.json
    python scripts/benchmark.py layout --families DCGAN --penalties r1 lazy

A step is an update of each player and of the averaged generator, as the Trainer makes it, on random
images. The four sides, float32 and bfloat16 in each layout, take turns step by step in one process,
and what counts is the time of the processor, since the machine is shared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from provenance import provenance
from torch import nn

from lightning_gan.gan import GAN
from lightning_gan.networks import (
    AutoencoderDiscriminator,
    BEGANGenerator,
    BigGANDeepDiscriminator,
    BigGANDeepGenerator,
    BigGANDiscriminator,
    BigGANGenerator,
    DCGANDiscriminator,
    DCGANGenerator,
    Discriminator,
    FastGANDiscriminator,
    FastGANGenerator,
    Generator,
    MLPDiscriminator,
    MLPGenerator,
    R3GANDiscriminator,
    R3GANGenerator,
    ResNetDiscriminator,
    ResNetGenerator,
    SNDCGANDiscriminator,
    SNDCGANGenerator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from lightning_gan.objectives import BEGAN, NonSaturating
from lightning_gan.regularizers import R1
from lightning_gan.training.schedule import PLAYERS, PlayerName, Progress

PENALTIES = {"none": 0, "r1": 1, "lazy": 8}
"""At every how many updates R1 is due; never where 0."""


@dataclass(frozen=True)
class Family:
    """A pair of networks of the size that its smaller recipes have.

    Args:
        networks: Makes the generator and the discriminator.
        batch: Images in a batch.
    """

    networks: Callable[[], tuple[Generator, Discriminator]]
    batch: int = 64


def _family(
    generator: type[Any], discriminator: type[Any], size: dict[str, int], *own: dict[str, Any]
) -> Callable[[], tuple[Generator, Discriminator]]:
    of_generator, of_discriminator = own
    return lambda: (generator(**size, **of_generator), discriminator(**size, **of_discriminator))


GREY = {"channels": 1, "image_size": 28}
COLOUR = {"channels": 3, "image_size": 32}
BIGGAN = {"width": 16, "attention": 16, "num_classes": 10}
R3GAN: dict[str, Any] = {"widths": (128, 64), "patch": 2, "plain": True}
WIDE = {"widths": (128, 128, 64, 32)}
STYLED = {"width": 16, "max_width": 64}
FAMILIES = {
    "MLP, 28 px": Family(_family(MLPGenerator, MLPDiscriminator, GREY, {}, {})),
    "DCGAN, 28 px": Family(
        _family(
            *(DCGANGenerator, DCGANDiscriminator, GREY),
            *({"width": 32}, {"width": 32, "batch_norm": False}),
        )
    ),
    "DCGAN, 32 px": Family(
        _family(DCGANGenerator, DCGANDiscriminator, COLOUR, {"width": 32}, {"width": 32})
    ),
    "SNDCGAN, 32 px": Family(
        _family(SNDCGANGenerator, SNDCGANDiscriminator, COLOUR, {"width": 32}, {"width": 32}),
        batch=32,
    ),
    "ResNet, 32 px": Family(
        _family(
            *(ResNetGenerator, ResNetDiscriminator, COLOUR),
            *({"width": 32}, {"width": 32, "spectral_norm": True}),
        )
    ),
    "R3GAN, 28 px": Family(_family(R3GANGenerator, R3GANDiscriminator, GREY, R3GAN, R3GAN)),
    "R3GAN, 32 px": Family(_family(R3GANGenerator, R3GANDiscriminator, COLOUR, WIDE, WIDE), 32),
    "BigGAN, 32 px": Family(
        _family(
            *(BigGANGenerator, BigGANDiscriminator, COLOUR),
            *({"latent_dim": 48, "embedding_dim": 32, **BIGGAN}, BIGGAN),
        )
    ),
    "BigGAN-deep, 32 px": Family(
        _family(
            *(BigGANDeepGenerator, BigGANDeepDiscriminator, COLOUR),
            *({"latent_dim": 48, "embedding_dim": 32, **BIGGAN}, BIGGAN),
        ),
        batch=16,
    ),
    "StyleGAN2, 28 px": Family(
        _family(
            *(StyleGAN2Generator, StyleGAN2Discriminator, GREY),
            *({"latent_dim": 64, "style_dim": 64, "mapping_depth": 4, **STYLED}, STYLED),
        ),
        batch=16,
    ),
    "FastGAN, 64 px": Family(
        _family(
            *(FastGANGenerator, FastGANDiscriminator, {"channels": 3, "image_size": 64}),
            *({"width": 8, "latent_dim": 64}, {"width": 8}),
        ),
        batch=16,
    ),
    "BEGAN, 32 px": Family(
        _family(BEGANGenerator, AutoencoderDiscriminator, COLOUR, {"width": 32}, {"width": 32}),
        batch=16,
    ),
}


class Side:
    """One way to make the steps of a pair of networks.

    Args:
        family: The networks and their batch.
        every: At every how many updates R1 is due; never where 0.
        half: Whether most of the arithmetic is in bfloat16.
        channels_last: Whether images are laid out as (N, H, W, C).
    """

    def __init__(self, family: Family, every: int, half: bool, channels_last: bool) -> None:
        torch.manual_seed(0)
        generator, discriminator = family.networks()
        objective = BEGAN() if discriminator.reconstructs else NonSaturating()
        penalties = [R1(0.1, every=every)] if every else []
        self.gan = GAN(generator, discriminator, objective, [*penalties])
        self.half, self.progress = half, Progress()
        if channels_last:
            self.gan.to(memory_format=torch.channels_last)
        optimizers = self.gan.configure_optimizers()
        self.optimizers = dict(zip(PLAYERS, optimizers, strict=True))
        self.real = torch.rand(family.batch, *generator.sample_shape) * 2 - 1
        self.labels = torch.arange(family.batch) % max(generator.num_classes, 1)

    def step(self) -> None:
        """One update of each player and of the average."""
        players: dict[PlayerName, nn.Module] = {
            name: self.gan.game.player(name).weights for name in PLAYERS
        }
        # As Lightning does it, for each batch as a whole and without remembered casts.
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half, cache_enabled=False):
            for name in PLAYERS:
                for other, weights in players.items():
                    weights.requires_grad_(other == name)
                self._update(name)
        self.progress.count_batch(len(self.real))
        self.gan.average.follow(self.progress.images, 64 * len(self.real), 1.0)

    def _update(self, name: PlayerName) -> None:
        game, optimizer = self.gan.game, self.optimizers[name]
        player = game.player(name)
        optimizer.zero_grad()
        due = player.due(self.progress.updates(name))
        for step in game.steps(player, self.real, self.labels, self.progress):
            loss, _ = game.loss(step, due)
            with torch.autocast("cpu", enabled=False):
                loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        self.progress.count_update(name)

    def milliseconds(self, steps: int) -> float:
        """Time of the processor for a step, over so many of them."""
        started = time.process_time()
        for _ in range(steps):
            self.step()
        return (time.process_time() - started) / steps * 1000


SIDES = {
    "float32": (False, False),
    "float32, channels_last": (False, True),
    "bfloat16": (True, False),
    "bfloat16, channels_last": (True, True),
}
"""Half precision, and the layout."""


def measure(family: Family, every: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of a step on each side, round by round."""
    sides = {name: Side(family, every, *how) for name, how in SIDES.items()}
    for side in sides.values():
        side.milliseconds(1)
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        order = list(sides) if number % 2 == 0 else list(sides)[::-1]
        for name in order:
            taken[name].append(sides[name].milliseconds(max(every, 1)))
    return taken


def _summary(taken: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Medians with the middle half of the rounds, and the median of the ratios to float32."""
    found = {}
    for name, values in taken.items():
        low, middle, high = statistics.quantiles(values, n=4)
        ratios = [first / value for first, value in zip(taken["float32"], values, strict=True)]
        found[name] = {
            "ms": middle,
            "low": low,
            "high": high,
            "times_as_fast": statistics.median(ratios),
        }
    return found


def _row(words: list[str]) -> None:
    print(f"| {' | '.join(words)} |", flush=True)


def _cell(found: dict[str, float]) -> str:
    spread = f"{found['low']:.1f} to {found['high']:.1f}"
    return f"{found['ms']:.1f} ({spread}); {found['times_as_fast']:.2f}"


def _cases(families: list[str], penalties: list[str]) -> list[tuple[str, str]]:
    """Families with penalties; the energies of autoencoders are no logits that R1 flattens."""
    chosen = [name for name in FAMILIES if name.startswith(tuple(families))]
    pairs = [(name, penalty) for name in chosen for penalty in penalties]
    return [(name, penalty) for name, penalty in pairs if penalty == "none" or "BEGAN" not in name]


def main(arguments: list[str]) -> None:
    """Measures, prints a table and writes the numbers.

    Args:
        arguments: Those of the command line, without the name of the program.
    """
    parser = argparse.ArgumentParser(
        prog="benchmark.py layout", description="float32 and bfloat16 in both layouts."
    )
    add = parser.add_argument
    add("--families", nargs="+", default=[*FAMILIES], help="beginnings of their names")
    add("--penalties", nargs="+", default=["none"], choices=[*PENALTIES], help="none, r1, lazy")
    add("--rounds", type=int, default=9, help="how often each side is measured (default: 9)")
    add("--threads", type=int, default=1, help="threads of torch (default: 1)")
    add("--json", type=Path, default=Path("layout.json"), help="file for the numbers")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    cases = _cases(options.families, options.penalties)
    if not cases:
        parser.error(f"there is no such family: {', '.join(FAMILIES)}")
    made = provenance() | {"rounds": options.rounds, "threads": options.threads}
    print(f"{made}\nMilliseconds of a step (CPU time, middle half of the rounds); times as fast.\n")
    _row(["networks", "R1", *SIDES, "load"])
    _row(["---"] * (3 + len(SIDES)))
    lines: list[dict[str, object]] = []
    for name, penalty in cases:
        found = _summary(measure(FAMILIES[name], PENALTIES[penalty], options.rounds))
        load = round(os.getloadavg()[0], 1)
        _row([name, penalty, *map(_cell, found.values()), str(load)])
        lines.append({"family": name, "penalty": penalty, "load": load, "sides": found})
        options.json.write_text(json.dumps({"made": made, "results": lines}, indent=1) + "\n")


if __name__ == "__main__":
    import sys

    main(sys.argv[1:])
