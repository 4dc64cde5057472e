"""Real data for generative adversarial networks: batches of images in [-1, 1] and labels."""

from datamodules.base import RealData
from datamodules.cifar import CIFAR10, CIFAR100
from datamodules.digits import Digits
from datamodules.downloaded import DownloadedData
from datamodules.errors import DataError
from datamodules.image_folder import ImageFolder
from datamodules.memory import (
    Batch,
    EvaluationBatches,
    Samples,
    Split,
    TrainingBatches,
    to_unit,
)
from datamodules.mixtures import Grid, Mixture, Ring
from datamodules.mnist import MNIST, FashionMNIST
from datamodules.stacked_mnist import StackedMNIST

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "Batch",
    "DataError",
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
    "to_unit",
]
