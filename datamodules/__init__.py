"""Real data for generative adversarial networks: batches of images in [-1, 1] and labels."""

if __name__ == "datamodules":  # a checkout's folder, under a second name
    raise ImportError(
        "These data modules are part of a package: import lightning_gan.datamodules, or, if you "
        "mean a folder datamodules of your own, give it an __init__.py."
    )

from lightning_gan.datamodules.base import RealData
from lightning_gan.datamodules.cifar import CIFAR10, CIFAR100
from lightning_gan.datamodules.digits import Digits
from lightning_gan.datamodules.downloaded import DownloadedData
from lightning_gan.datamodules.image_folder import ImageFolder
from lightning_gan.datamodules.memory import (
    Batch,
    EvaluationBatches,
    Samples,
    Split,
    TrainingBatches,
)
from lightning_gan.datamodules.mixtures import Grid, Mixture, Ring
from lightning_gan.datamodules.mnist import MNIST, FashionMNIST
from lightning_gan.datamodules.stacked_mnist import StackedMNIST

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "Batch",
    "Digits",
    "DownloadedData",
    "EvaluationBatches",
    "FashionMNIST",
    "Grid",
    "ImageFolder",
    "Mixture",
    "RealData",
    "Ring",
    "Samples",
    "Split",
    "StackedMNIST",
    "TrainingBatches",
]
