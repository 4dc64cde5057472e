"""Train one of the bundled classifiers and write it with its record.

    python scripts/train_extractors.py mnist_cnn --root data

The weights go to ``lightning_gan/metrics/weights/NAME.safetensors`` in half precision; accuracy,
seed, epochs, data, command and seconds stand in the file's header. The last line printed is the
checksum that ``WEIGHTS`` in ``lightning_gan/metrics/extractors/bundled.py`` has to hold.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import math
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from checkout import ROOT
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import datasets
from tqdm import tqdm

from lightning_gan.basics.images import from_uint8, to_uint8
from lightning_gan.metrics import frechet_distance
from lightning_gan.metrics.extractors.classifiers import (
    BoundedClassifier,
    DigitNetwork,
    PictureNetwork,
)

Labelled = tuple[Tensor, Tensor]  # uint8 images (N, C, H, W), int64 labels (N,)


@dataclass(frozen=True)
class Distortion:
    """What the classifier shall not mind, per image; small, or the distance would be blind to it.

    Args:
        shift: Largest shift in pixels, rounded to whole ones.
        turn: Largest rotation in degrees, of half of the images.
        zoom: Largest relative change of size, of the same half.
        flip: Whether half of the images are mirrored.
        noise: Largest standard deviation of the Gaussian noise on half of the images.
        blur: Share of the images that are blurred, by at most a 3 x 3 box.
        padding: What comes in from outside, as in ``grid_sample``, but black for ``zeros``.
    """

    shift: float
    turn: float = 0.0
    zoom: float = 0.0
    flip: bool = False
    noise: float = 0.0
    blur: float = 0.0
    padding: str = "zeros"

    def __call__(self, images: Tensor) -> Tensor:
        """Distorted images (N, C, H, W) of images in [-1, 1]."""
        n, _, _, size = images.shape

        def draw(*shape: int) -> Tensor:
            return torch.rand(n, *shape, device=images.device)

        def uniform(bound: float) -> Tensor:
            return (draw() * 2 - 1) * bound

        turned = torch.arange(n, device=images.device) % 2 == 0  # it blurs: half stays sharp
        angle = uniform(math.radians(self.turn)) * turned
        zoom = 1 + uniform(self.zoom) * turned
        dx, dy = uniform(self.shift).round(), uniform(self.shift).round()
        sign = torch.where(draw() < 0.5, -1.0, 1.0) if self.flip else torch.ones_like(dx)
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        theta = torch.stack([cos * sign, -sin, 2 * dx / size, sin * sign, cos, 2 * dy / size], 1)
        grid = F.affine_grid(theta.view(n, 2, 3), list(images.shape), align_corners=False)
        images = F.grid_sample(images + 1, grid, padding_mode=self.padding, align_corners=False) - 1
        share = draw(1, 1, 1) * (draw(1, 1, 1) < self.blur)
        box = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
        sd = self.noise * draw(1, 1, 1) * (draw(1, 1, 1) < 0.5)
        return images.lerp(box, share).addcmul(sd, torch.randn_like(images)).clamp(-1, 1)


@dataclass(frozen=True)
class Degradation:
    """What the features shall tell of an image: how much it was blurred, noised, compressed.

    Args:
        blur: Largest standard deviation of a Gaussian blur, in pixels.
        noise: Largest standard deviation of Gaussian noise on [-1, 1].
        jpeg: Lowest quality of a JPEG file, up to 100.
        share: Share of the images that have each of these.
    """

    blur: float = 2.0
    noise: float = 0.5
    jpeg: int = 3
    share: float = 0.25

    def draw(self, count: int) -> Tensor:
        """Strengths (count, 3) of blur, noise and compression in [0, 1]; 0 is none."""
        return torch.rand(count, 3) * (torch.rand(count, 3) < self.share)

    def __call__(self, images: Tensor, strengths: Tensor) -> Tensor:
        """Images (N, 1, H, W) in [-1, 1] with degradations of strengths (N, 3)."""
        blur, noise, jpeg = strengths.to(images.device).unbind(1)
        images = blurred(images, blur * self.blur)
        noise = (noise * self.noise).view(-1, 1, 1, 1)
        images = images.addcmul(noise, torch.randn_like(images)).clamp(-1, 1)
        qualities = (100 - jpeg * (100 - self.jpeg)).round().int().tolist()
        levels = to_uint8(images).cpu()
        for number, quality in enumerate(qualities):
            if quality < 100:
                images[number] = from_uint8(compressed(levels[number], quality))
        return images


def compressed(image: Tensor, quality: int) -> Tensor:
    """A grey image (1, H, W), uint8, out of a JPEG file of that quality."""
    file = io.BytesIO()
    Image.fromarray(image[0].numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file)))[None]


def blurred(images: Tensor, deviations: Tensor) -> Tensor:
    """Images (N, C, H, W) after Gaussian blurs of the deviations (N,), in pixels."""
    place = torch.arange(images.shape[-1], device=images.device)
    square = (place[:, None] - place) ** 2
    kernel = torch.exp(-square / (2 * deviations.clamp(min=1e-3) ** 2).view(-1, 1, 1, 1))
    kernel = kernel / kernel.sum(-1, keepdim=True)
    return kernel @ images @ kernel.mT


@dataclass(frozen=True)
class Recipe:
    """How one classifier is trained: SGD with Nesterov momentum and one cycle of the rate.

    Labels alone would let all features of a class fall together, and a distance on them would not
    see a generator that draws one seven. So a linear map, thrown away afterwards, redraws the
    image at a quarter of its size from the features, and its squared error joins the loss.

    Where the features shall tell of degradations, another such map reads from them the squares of
    the strengths, so that what an eye hardly sees costs little; each image is seen twice, at two
    places, what is redrawn is the image before both, and the squared difference of the two feature
    vectors joins the loss, too.
    """

    network: Callable[[], BoundedClassifier]
    load: Callable[[str], tuple[Labelled, Labelled]]
    data: str
    epochs: int
    distortion: Distortion
    rate: float = 0.1
    batch_size: int = 128
    redraw: float = 1.0
    degradation: Degradation | None = None
    strengths: float = 1.0
    twins: float = 1.0
    smoothing: float = 0.0
    prepare: Callable[[BoundedClassifier, Tensor], None] = lambda network, images: None
    bfloat16: bool = True


def load_mnist(root: str) -> tuple[Labelled, Labelled]:
    train, test = (datasets.MNIST(root, train=t, download=False) for t in (True, False))
    return (train.data[:, None], train.targets), (test.data[:, None], test.targets)


def load_cifar10(root: str) -> tuple[Labelled, Labelled]:
    def read(train: bool) -> Labelled:
        data = datasets.CIFAR10(root, train=train, download=False)
        return torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(
            data.targets
        )

    return read(True), read(False)


def load_digits(_: str) -> tuple[Labelled, Labelled]:
    """The enlarged digits: everything but the test split, and the test split."""
    from lightning_gan.datamodules import Digits

    data = Digits()
    data.setup()
    train, val, test = (data.split(name) for name in ("train", "val", "test"))
    images, labels = torch.cat([train.images, val.images]), torch.cat([train.labels, val.labels])
    return (images, labels), (test.images, test.labels)


@torch.no_grad()
def whiten(network: BoundedClassifier, images: Tensor) -> None:
    """Starts airbench's network as its author does (Jordan 2024, sections 3.1 and 3.2).

    The first convolution decorrelates patches of 2 x 2, with both signs, and stays so; each of the
    others passes on its first input channels as they are.
    """
    first = network.trunk[0]  # type: ignore[index] # a Sequential
    patches = F.unfold(from_uint8(images[:5000]), 2).transpose(1, 2).reshape(-1, 12).double()
    values, vectors = torch.linalg.eigh(patches.T.cov())
    filters = (vectors / (values + 5e-4).sqrt()).T.flip(0).float().view(12, 3, 2, 2)
    first.weight.copy_(torch.cat([filters, -filters]))
    first.weight.requires_grad_(False)
    for module in network.trunk.modules():
        if isinstance(module, nn.Conv2d) and module is not first:
            nn.init.dirac_(module.weight[: module.in_channels])


RECIPES = {
    "digits_cnn": Recipe(
        DigitNetwork,
        load_digits,
        "datamodules.Digits, train and val, 1497 images of 28x28",
        epochs=40,
        rate=0.05,
        distortion=Distortion(shift=2.5, turn=10, zoom=0.1),
        degradation=Degradation(),
        strengths=4.0,  # compression hardly changes pictures that were enlarged
    ),
    "mnist_cnn": Recipe(
        DigitNetwork,
        load_mnist,
        "MNIST training set, 60000 images",
        epochs=5,
        distortion=Distortion(shift=2.5, turn=10, zoom=0.1),
        degradation=Degradation(),
    ),
    "cifar10_cnn": Recipe(
        PictureNetwork,
        load_cifar10,
        "CIFAR-10 training set, 50000 images",
        # Longer training reads more test images and learns the training images by heart: accuracy
        # and distance_to_unseen are 92.9 % and 0.07 after 14 epochs, 93.5 % and 0.13 after 30,
        # 94.1 % and 0.24 after 60 (seed 0); two parts of the training set are 0.05 apart.
        epochs=30,
        batch_size=256,
        rate=0.2,
        redraw=0.3,
        smoothing=0.1,
        prepare=whiten,
        bfloat16=False,
        distortion=Distortion(shift=2, flip=True, noise=0.05, blur=0.1, padding="reflection"),
    ),
}


@torch.no_grad()
def accuracy(network: BoundedClassifier, images: Tensor, labels: Tensor) -> float:
    network.eval()
    hits = sum(
        int((network(from_uint8(x)).argmax(1) == y).sum())
        for x, y in zip(torch.split(images, 500), torch.split(labels, 500), strict=True)
    )
    return hits / len(labels)


@torch.no_grad()
def distance_to_unseen(network: BoundedClassifier, train: Tensor, test: Tensor) -> float:
    """Frechet distance of the first 10,000 test images to as many training images.

    What it exceeds the floor by is what the network knows of the training images by heart.
    """
    network.eval()
    features = [
        torch.cat([network.features(from_uint8(x)) for x in torch.split(images[:10_000], 500)])
        for images in (train, test)
    ]
    moments = [m for f in features for m in (f.double().mean(0), f.double().T.cov())]
    return float(frechet_distance(*moments))


class Heads(nn.Module):
    """What is read from features in training and thrown away: a small picture, and strengths."""

    def __init__(self, recipe: Recipe, num_features: int, pixels: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.picture = nn.Linear(num_features, pixels)
        self.strengths = nn.Linear(num_features, 3) if recipe.degradation else None

    def loss(self, features: Tensor, picture: Tensor, strengths: Tensor) -> Tensor:
        """What the features (N, D) fail to tell: pictures (N, pixels), strengths (N, 3)."""
        found = self.recipe.redraw * F.mse_loss(self.picture(features), picture)
        if self.strengths is None:
            return found
        read = F.mse_loss(self.strengths(features), strengths**2)
        first, second = features.chunk(2)
        return found + self.recipe.strengths * read + self.recipe.twins * F.mse_loss(first, second)


def examples(images: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor, Tensor]:
    """What the network sees of images (N, C, H, W), what it redraws, and the strengths (., 3).

    Where there are strengths, each image comes twice, and its twin N places after it.
    """
    if recipe.degradation is None:
        seen = recipe.distortion(images)
        return seen, seen, torch.zeros(len(images), 3, device=images.device)
    turned = replace(recipe.distortion, shift=0)(images).repeat(2, 1, 1, 1)
    strengths = recipe.degradation.draw(len(images)).repeat(2, 1).to(images.device)
    moved = replace(recipe.distortion, turn=0, zoom=0)(turned)
    return recipe.degradation(moved, strengths), turned, strengths


def fit(network: BoundedClassifier, recipe: Recipe, train: Labelled) -> None:
    """Trains in place, on the device of the data; the weights stay in float32."""
    images, labels = train
    device = images.device
    recipe.prepare(network, images)
    small = F.avg_pool2d(from_uint8(images[:1]), 4)
    heads = Heads(recipe, network.num_features, small.numel()).to(device)
    moving = [p for p in network.parameters() if p.requires_grad]
    weights = [p for p in moving if p.ndim > 1]
    others = [p for p in moving if p.ndim <= 1] + list(heads.parameters())
    optimizer = torch.optim.SGD(
        [{"params": weights, "weight_decay": 5e-4}, {"params": others, "weight_decay": 0.0}],
        lr=recipe.rate,
        momentum=0.9,
        nesterov=True,
    )
    taken = recipe.batch_size // (2 if recipe.degradation else 1)
    steps = len(images) // taken
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=steps * recipe.epochs, cycle_momentum=False
    )
    network.train()
    with tqdm(total=steps * recipe.epochs, unit="batch", mininterval=2) as bar:
        for epoch in range(recipe.epochs):
            order = torch.randperm(len(images))[: steps * taken].to(device)
            for index in torch.split(order, taken):
                batch, picture, strengths = examples(from_uint8(images[index]), recipe)
                with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
                    features = network.features(batch)
                    logits = network.head(features)
                loss = F.cross_entropy(
                    logits.float(),
                    labels[index].repeat(len(batch) // len(index)),
                    label_smoothing=recipe.smoothing,
                )
                picture = F.avg_pool2d(picture, 4).flatten(1)
                loss = loss + heads.loss(features.float(), picture, strengths)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
                bar.update()
            bar.set_postfix(epoch=epoch + 1, loss=f"{loss.item():.4f}")


def in_half(network: BoundedClassifier) -> dict[str, Tensor]:
    """The state in float16, batch-norm statistics included, counters left out."""
    return {
        key: value.half().contiguous()
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument("--root", default="data", help="folder of the data, torchvision's layout")
    parser.add_argument("--output", default=str(ROOT / "lightning_gan" / "metrics" / "weights"))
    parser.add_argument("--epochs", type=int, help="instead of the recipe's own number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="cuda is a GPU")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU that torch can use: leave --device out.")
    recipe = RECIPES[arguments.name]
    if arguments.epochs:
        recipe = replace(recipe, epochs=arguments.epochs)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    train, test = recipe.load(arguments.root)
    device, start = torch.device(arguments.device), time.monotonic()
    network = recipe.network().to(device, memory_format=torch.channels_last)
    fit(network, recipe, tuple(part.to(device) for part in train))
    network.cpu()
    seconds = time.monotonic() - start
    half = in_half(network)
    network.load_state_dict({k: v.float() for k, v in half.items()}, strict=False)
    record = {
        "name": arguments.name,
        "accuracy": f"{accuracy(network, *test):.4f}",
        "test_images": str(len(test[1])),
        "distance_to_unseen": f"{distance_to_unseen(network, train[0], test[0]):.3f}",
        "seed": str(arguments.seed),
        "epochs": str(recipe.epochs),
        "data": recipe.data,
        "command": shlex.join(["python", "scripts/train_extractors.py", *sys.argv[1:]]),
        "seconds": f"{seconds:.0f}",
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
    }
    path = Path(arguments.output) / f"{arguments.name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(half, path, metadata=record)
    path.chmod(0o644)  # the library of safetensors writes for the owner alone
    print("\n".join(f"{key}: {value}" for key, value in record.items()))
    print(f'"{arguments.name}": "{hashlib.sha256(path.read_bytes()).hexdigest()}"')


if __name__ == "__main__":
    main()
