"""Real data for generative adversarial networks: batches of images in [-1, 1] and labels."""

if __name__ == "datamodules":  # a checkout's folder, under a second name
    raise ImportError(
        "These data modules are part of a package: import lightning_gan.datamodules, or, if you "
        "mean a folder datamodules of your own, give it an __init__.py."
    )


from lightning_gan.datamodules.array_file import ArrayFile as ArrayFile
from lightning_gan.datamodules.base import RealData as RealData
from lightning_gan.datamodules.cifar import CIFAR10 as CIFAR10
from lightning_gan.datamodules.cifar import CIFAR100 as CIFAR100
from lightning_gan.datamodules.digits import Digits as Digits
from lightning_gan.datamodules.downloaded import DownloadedData as DownloadedData
from lightning_gan.datamodules.image_folder import ImageFolder as ImageFolder
from lightning_gan.datamodules.memory import Batch as Batch
from lightning_gan.datamodules.memory import EvaluationBatches as EvaluationBatches
from lightning_gan.datamodules.memory import Samples as Samples
from lightning_gan.datamodules.memory import Split as Split
from lightning_gan.datamodules.memory import TrainingBatches as TrainingBatches
from lightning_gan.datamodules.mixtures import Grid as Grid
from lightning_gan.datamodules.mixtures import Mixture as Mixture
from lightning_gan.datamodules.mixtures import Ring as Ring
from lightning_gan.datamodules.mnist import MNIST as MNIST
from lightning_gan.datamodules.mnist import FashionMNIST as FashionMNIST
from lightning_gan.datamodules.stacked_mnist import StackedMNIST as StackedMNIST
