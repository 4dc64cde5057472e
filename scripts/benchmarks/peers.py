"""Ours against loops in the manner of others: same networks, losses, data, batches and threads.

Each of the others' loops is written afresh after what its source does; the file is named beside
it. All read pictures one by one through torchvision's transforms in a DataLoader of the same
process, as the sources do with workers; ours reads its own batches. Where a loop computes what ours
does from the same random numbers, the losses of the first steps are compared, and the benchmark
ends where they differ; where it computes something else, the table says what.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - finds the package
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.cases import CASES, Case
from benchmarks.loops import Batch, Loop, run
from benchmarks.measure import (
    Side,
    Turns,
    Window,
    circumstances,
    finish,
    furthest,
    markdown,
    parser,
    rate,
    ratio,
    refuse_other_losses,
    shown,
    started,
    take_turns,
)
from lightning_gan.datamodules import RealData, Split

COMPARED, ALIKE = 20, 5e-2
"""Steps whose losses are compared, and how much rounding may have grown by then: layouts differ."""
OURS = {"ours, float32": False, "ours, bfloat16": True}
"""Our sides, and whether they run in bfloat16."""
LIMITS = {
    # float32 against each peer, and bfloat16: the least ratios of images a second that are aimed at
    "dcgan": {"ours, float32": 1.0, "ours, bfloat16": 1.5},
    "resnet": {"ours, float32": 1.5, "ours, bfloat16": 1.8},
    "r3gan": {"ours, bfloat16": 1.25},
}


class Pictures(Dataset[tuple[Tensor, int]]):
    """A split read picture by picture, as torchvision's data sets are.

    Args:
        split: The raw pictures (N, C, H, W), uint8, and labels (N,).
        flip: Whether they are mirrored at random.
    """

    def __init__(self, split: Split, flip: bool = False) -> None:
        self.images = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = split.labels.tolist()
        half = [0.5] * self.images.shape[3]
        turned = [transforms.RandomHorizontalFlip()] if flip else []
        whole = [*turned, transforms.ToTensor(), transforms.Normalize(half, half)]
        self.transform = transforms.Compose(whole)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index]
        picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        return self.transform(picture), self.labels[index]


def loader_of(data: RealData, flip: bool = False) -> DataLoader[tuple[Tensor, int]]:
    """Batches of pictures that are read one by one."""
    pictures = Pictures(data.split("train"), flip)
    return DataLoader(pictures, data.batch_size, shuffle=True, drop_last=True)


class Peer(Loop):
    """A loop in the manner of another project, in float32."""

    source = ""
    """The repository and file it was written after."""
    does = ""
    """What sets it apart."""
    flip = False

    def read(self, data: RealData) -> Iterator[Batch]:
        """Our batches for the steps that are compared, then pictures one by one."""
        yield from islice(super().read(data), self.compared)
        loader = loader_of(data, self.flip)
        while True:
            yield from loader

    def update_discriminator(self, real: Tensor, labels: Tensor) -> Tensor:
        """One update on fakes whose graph is made and thrown away."""
        fake = self.generator(self.draw("discriminator", len(real)), labels)
        return self.learn_from(real, fake.detach(), labels)

    def learn_from(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        """One update of the discriminator on these reals and fakes; its bare loss."""
        self.optimizers[0].zero_grad()
        bare, penalty = self.case.losses.discriminator(self.scorer(labels), real, fake)
        (bare if penalty is None else bare + penalty).backward()
        self.optimizers[0].step()
        return bare.detach()

    def update_generator(self, real: Tensor, labels: Tensor) -> Tensor:
        """One update through a discriminator that computes gradients of its own, too."""
        return self.fool(real, self.generator(self.draw("generator", len(real)), labels), labels)

    def fool(self, real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
        """One update of the generator by these fakes; its loss."""
        self.optimizers[1].zero_grad()
        loss = self.case.losses.generator(self.scorer(labels), real, fake)
        loss.backward()
        self.optimizers[1].step()
        return loss.detach()

    def update_average(self, keep: float = 0.999) -> None:
        """There is none."""


class PyTorchExamples(Peer):
    """In the manner of PyTorch's own DCGAN."""

    source = "pytorch/examples, dcgan/main.py"
    does = "both updates share the fakes; nothing frozen; five numbers read each step; no average"
    same_as_ours = False

    def step(self) -> tuple[Tensor, Tensor]:
        """One update of each player on the same fakes."""
        real, labels = next(self.batches)
        fake = self.generator(self.draw("generator", len(real)), labels)
        bare = self.learn_from(real, fake.detach(), labels), self.fool(real, fake, labels)
        self.steps += 1
        print(*(loss.item() for loss in bare), *(fake.mean().item() for _ in range(3)))
        return bare


class TorchGAN(Peer):
    """In the manner of torchgan's trainer."""

    source = "torchgan/torchgan, torchgan/losses/loss.py and torchgan/logging/visualize.py"
    does = "nothing frozen; fakes with a graph; losses and every gradient's norm read each step"

    def update_discriminator(self, real: Tensor, labels: Tensor) -> Tensor:
        """As of a peer, with the gradients looked at."""
        bare = super().update_discriminator(real, labels)
        self.look_at(self.discriminator, bare)
        return bare

    def update_generator(self, real: Tensor, labels: Tensor) -> Tensor:
        """Likewise."""
        bare = super().update_generator(real, labels)
        self.look_at(self.generator, bare)
        return bare

    def look_at(self, network: nn.Module, loss: Tensor) -> None:
        """Reads the loss and all gradients, and throws them away."""
        squares = (w.grad.square().sum().item() for w in network.parameters() if w.grad is not None)
        print(loss.item(), sum(squares))
        network.zero_grad()


class Mimicry(Peer):
    """In the manner of mimicry's trainer."""

    source = "kwotsin/mimicry, torch_mimicry/nets/gan/gan.py and torch_mimicry/training/trainer.py"
    does = "nothing frozen; fakes with a graph; four numbers read each step; no average"

    def step(self) -> tuple[Tensor, Tensor]:
        """One update of each player, and a line about it."""
        bare = super().step()
        print(*(loss.item() for loss in bare), *(loss.sigmoid().item() for loss in bare))
        return bare


class StudioGAN(Peer):
    """In the manner of StudioGAN's worker."""

    source = "POSTECH-CVLab/PyTorch-StudioGAN, src/worker.py and src/utils/ema.py"
    does = "players frozen in turn; pictures mirrored; an average tensor by tensor, out of place"
    flip = True

    def update_discriminator(self, real: Tensor, labels: Tensor) -> Tensor:
        """One update while the generator is frozen."""
        self.generator.requires_grad_(False)
        bare = super().update_discriminator(real, labels)
        self.generator.requires_grad_(True)
        return bare

    def update_generator(self, real: Tensor, labels: Tensor) -> Tensor:
        """One update while the discriminator is frozen."""
        self.discriminator.requires_grad_(False)
        loss = super().update_generator(real, labels)
        self.discriminator.requires_grad_(True)
        return loss

    @torch.no_grad()
    def update_average(self, keep: float = 0.999) -> None:
        """Every tensor of the state by itself."""
        average, current = self.average.state_dict(), self.generator.state_dict()
        for name, tensor in average.items():
            tensor.copy_(tensor * keep + current[name] * (1 - keep))


LOOPS: dict[str, type[Peer]] = {
    "pytorch/examples": PyTorchExamples,
    "torchgan": TorchGAN,
    "mimicry": Mimicry,
    "StudioGAN": StudioGAN,
}
LIGHTNING = "Lightning's example"
SOURCES = {name: loop.source for name, loop in LOOPS.items()} | {
    LIGHTNING: "Lightning-AI/pytorch-lightning, "
    "examples/pytorch/domain_templates/generative_adversarial_net.py"
}
DOES = {name: loop.does for name, loop in LOOPS.items()} | {
    LIGHTNING: "the generator first, the discriminator on the same latents made anew with a graph; "
    "losses are logged each step; no average"
}


class LightningExample(LightningModule):
    """In the manner of Lightning's own example, under a Trainer with its defaults.

    Args:
        case: What is trained.
    """

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.losses = case.losses
        self.generator, self.discriminator = case.networks()

    def training_step(self, batch: Batch) -> None:
        """The generator's update, then the discriminator's on the same latents."""
        real, labels = batch
        for_generator, for_discriminator = self.optimizers()  # type: ignore[misc]  # two of them
        z = torch.randn(len(real), self.generator.latent_dim).type_as(real)

        def score(samples: Tensor) -> Tensor:
            return self.discriminator(samples, labels)

        self.toggle_optimizer(for_generator)
        loss = self.losses.generator(score, real, self.generator(z, labels))
        self.learn(for_generator, loss)
        self.toggle_optimizer(for_discriminator)
        fake = self.generator(z, labels).detach()
        bare, penalty = self.losses.discriminator(score, real, fake)
        self.learn(for_discriminator, bare if penalty is None else bare + penalty)
        self.log_dict({"d_loss": bare, "g_loss": loss})

    def learn(self, optimizer: LightningOptimizer, loss: Tensor) -> None:
        """One step down a loss."""
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.untoggle_optimizer(optimizer)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """One for each player."""
        players = (self.generator, self.discriminator)
        return [torch.optim.Adam(p.parameters(), lr=2e-4, betas=(0.5, 0.999)) for p in players]


class StepByStep(Callback):
    """Lets a training of Lightning's take its turns.

    Args:
        turns: When it runs.
    """

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Waits for the first turn."""
        self.turns.next()

    def on_train_batch_end(self, *_: object) -> None:
        """Ends a step."""
        self.turns.next()


def lightning_example(turns: Turns, case: str, folder: str, **_: object) -> None:
    """The side of Lightning's example."""
    torch.manual_seed(0)
    chosen = CASES[case]
    trainer = Trainer(
        accelerator="cpu", max_epochs=-1, default_root_dir=folder, callbacks=[StepByStep(turns)]
    )
    trainer.fit(LightningExample(chosen), loader_of(chosen.data(chosen.batch)))


def peer(turns: Turns, case: str, name: str, compared: int = 0, **_: object) -> None:
    """The side of another's loop."""
    run(turns, LOOPS[name](CASES[case], compared))


def sides_of(
    case: str, peers: list[str], folder: Path, threads: int, compared: int
) -> dict[str, Side]:
    """All sides of a case, which start beside each other."""
    found = {
        name: Side(
            "benchmarks.loops:ours",
            threads,
            case=case,
            folder=str(folder / str(number)),
            half=half,
            compared=0 if half else compared,
        )
        for number, (name, half) in enumerate(OURS.items())
    }
    for name in peers:
        place = "lightning_example" if name == LIGHTNING else "peer"
        same = name in LOOPS and LOOPS[name].same_as_ours
        how = {"case": case, "name": name, "folder": str(folder / "peer")}
        more = {"compared": compared if same else 0}
        found[name] = Side(f"benchmarks.peers:{place}", threads, **how, **more)
    return found


def measure(case: str, peers: list[str], rounds: int, threads: int, quick: bool) -> dict[str, Any]:
    """The rows of one case."""
    compared = 3 if quick else COMPARED
    with tempfile.TemporaryDirectory() as folder:
        everyone = sides_of(case, peers, Path(folder), threads, compared)
        with started(everyone) as sides:
            differ = compare(case, sides, compared)
            steps = 2 if quick else CASES[case].steps
            found = take_turns(sides, steps, rounds, case)
    ours = {name: found[name] for name in OURS}
    rows = [row(case, name, windows, ours, differ.get(name)) for name, windows in found.items()]
    return {"case": case, "rows": rows, "steps_a_window": steps}


def compare(case: str, sides: Mapping[str, Side], compared: int) -> dict[str, float]:
    """How much the losses of peers that compute what ours does differ from ours, by name."""
    # Every side does a few steps here, which warm it up.
    told = {}
    for name, side in sides.items():
        same = name == "ours, float32" or (name in LOOPS and LOOPS[name].same_as_ours)
        facts = side.window(compared if same else 2).facts
        if same:
            told[name] = facts["losses"]
    reference = told.pop("ours, float32")
    found = {name: furthest(reference, losses) for name, losses in told.items()}
    for name, difference in found.items():
        refuse_other_losses(f"{case}, {name}", difference, ALIKE, compared)
    return found


def row(
    case: str, name: str, windows: list[Window], ours: dict[str, list[Window]], differ: float | None
) -> dict[str, Any]:
    """What one side has shown; ratios are ours against it."""
    found = {
        "side": name,
        "images_a_second": rate(windows, CASES[case].batch),
        "losses_differ": differ,
    }
    if name not in ours:
        found["ours_faster"] = {key: ratio(windows, mine) for key, mine in ours.items()}
        found["by_wall"] = {key: ratio(windows, mine, "wall") for key, mine in ours.items()}
    return found


def table(result: dict[str, Any]) -> str:
    """The tables of a result."""
    parts = []
    for found in result["cases"]:
        head = (
            CASES[found["case"]].name,
            "images/s",
            *(f"{key}: times as fast" for key in OURS),
            "losses",
        )
        rows = [
            (
                line["side"],
                shown(line["images_a_second"], ".0f"),
                *(shown(line["ours_faster"][key]) if "ours_faster" in line else "" for key in OURS),
                same(line),
            )
            for line in found["rows"]
        ]
        aims = ", ".join(f"{key} {aim}" for key, aim in LIMITS[found["case"]].items())
        parts.append(f"{markdown(head, rows)}\n\nAimed at: {aims} times.")
    lines = [f"* *{name}* ({SOURCES[name]}): {DOES[name]}." for name in SOURCES]
    return "\n\n".join([*parts, "\n".join(lines)])


def same(line: dict[str, Any]) -> str:
    """Whether a side computes what ours does."""
    if line["losses_differ"] is not None:
        return f"ours, to {line['losses_differ']:.0e}"
    return "" if line["side"] in OURS else "others"


def main(arguments: list[str]) -> None:
    """Measures; takes about four minutes."""
    options = parser(__doc__)
    options.add_argument("--cases", nargs="+", choices=list(LIMITS), default=list(LIMITS))
    options.add_argument("--peers", nargs="+", choices=list(SOURCES), default=list(SOURCES))
    asked = options.parse_args(arguments)
    rounds = 2 if asked.quick else asked.rounds
    with circumstances(asked.threads) as how:
        how["quick"] = asked.quick
        found = [
            measure(case, asked.peers, rounds, asked.threads, asked.quick) for case in asked.cases
        ]
    finish("peers", {"circumstances": how, "cases": found}, asked.record)
