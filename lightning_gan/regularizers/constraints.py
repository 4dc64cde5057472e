"""Constraints on the weights of the players."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_gan.errors import ConfigurationError, above, at_least, check_range
from lightning_gan.networks.base import Discriminator, Generator
from lightning_gan.networks.layers import has_spectral_norm
from lightning_gan.regularizers.base import Constraint, Penalty
from lightning_gan.training.latents import Prior
from lightning_gan.training.schedule import Curve
from lightning_gan.training.step import Step

LAYERS = (nn.Linear, nn.Embedding, nn.modules.conv._ConvNd)
"""Layers with a weight that spectral normalisation divides."""


class WeightClipping(Constraint):
    """Clips the critic's weights after each of its steps (Arjovsky et al. 2017, Algorithm 1).

    Scales and shifts of normalisation layers are left alone: clipping them would scale the data,
    not bound a slope.

    Args:
        bound: Largest absolute value of a weight; the paper takes 0.01.

    Raises:
        ConfigurationError: If the bound is not positive, or with spectral normalisation, which
            rescales the clipped weights.
    """

    bounds_lipschitz = True
    bounds_weights = True

    def __init__(self, bound: float = 0.01) -> None:
        super().__init__()
        check_range(self, above(0), bound=bound)
        self.bound = bound

    @torch.no_grad()
    def constrain(self, discriminator: Discriminator) -> None:
        """Clips every weight outside normalisation layers to [-bound, bound]."""
        norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
        for module in discriminator.modules():
            if not isinstance(module, norms):
                for parameter in module.parameters(recurse=False):
                    if parameter.requires_grad:  # frozen ones bound the slope as they are
                        parameter.clamp_(-self.bound, self.bound)


class SpectralNormalization(Constraint):
    r"""Divides every weight matrix by its largest singular value, in either player or both.

    .. math:: W / \sigma(W)

    with one step of power iteration for each forward pass in training (Miyato et al. 2018, Eq. 8
    and Algorithm 1), on all linear, convolutional and embedding layers. Networks that have an
    argument for it need this not.

    Args:
        discriminator: Whether the discriminator's layers are normalised.
        generator: Whether the generator's are (Zhang et al. 2019, section 4.1).

    Raises:
        ConfigurationError: If neither is asked for, a network is normalised already, or one of its
            weights starts at zero.
    """

    def __init__(self, discriminator: bool = True, generator: bool = False) -> None:
        super().__init__()
        if not (discriminator or generator):
            raise ConfigurationError(
                "SpectralNormalization of neither player does nothing: set one, or leave it out."
            )
        self.discriminator, self.generator = discriminator, generator
        self.bounds_lipschitz = discriminator

    def attach(self, generator: Generator, discriminator: Discriminator, prior: Prior) -> None:
        """Normalises the layers."""
        networks: list[nn.Module] = []
        networks += [discriminator] if self.discriminator else []
        networks += [generator] if self.generator else []
        for network in networks:
            if has_spectral_norm(network):
                raise ConfigurationError(
                    f"{type(network).__name__} is spectrally normalised already: leave "
                    "SpectralNormalization out, or set the network's spectral_norm to false."
                )
            layers = [module for module in network.modules() if isinstance(module, LAYERS)]
            if not all(layer.weight.any() for layer in layers):
                raise ConfigurationError(
                    f"SpectralNormalization divides by the largest singular value, which is zero "
                    f"where a weight of {type(network).__name__} starts at zero: take another "
                    "network."
                )
            for layer in layers:
                spectral_norm(layer)


class OrthogonalRegularization(Penalty):
    r"""Makes the rows of every weight matrix orthogonal, not of unit length.

    .. math:: \lVert W W^\top \odot (\mathbf 1 - I)\rVert_F^2

    summed over all weights of two or more dimensions of the player, with convolutions as (out,
    in * height * width) (Brock et al. 2019, Eq. 3). Embeddings are left out. The authors' PyTorch
    code adds half of this term's gradient at the same factor.

    Args:
        weight: Factor, the paper's beta.
        generator: Whether the generator has it, as in the paper.
        discriminator: Whether the discriminator has it.

    Raises:
        ConfigurationError: If neither player has it.
    """

    def __init__(
        self, weight: float | Curve = 1e-4, generator: bool = True, discriminator: bool = False
    ) -> None:
        super().__init__(weight)
        if not (discriminator or generator):
            raise ConfigurationError(
                "OrthogonalRegularization of neither player does nothing: set one of them."
            )
        self.discriminator, self.generator = discriminator, generator

    def discriminator_term(self, step: Step) -> Tensor | None:
        """The discriminator's squared products of different rows."""
        return overlap(step.discriminator) if self.discriminator else None

    def generator_term(self, step: Step) -> Tensor | None:
        """The generator's squared products of different rows."""
        return overlap(step.generator) if self.generator else None


def overlap(network: nn.Module) -> Tensor:
    """Sum of the squared products of different rows, over all weight matrices of a network."""
    total: Tensor = torch.zeros(())
    for weight in _matrices(network):
        products = weight @ weight.T
        total = total.to(products) + (products - torch.diag(products.diagonal())).square().sum()
    return total


def _matrices(network: nn.Module) -> list[Tensor]:
    """The weights of a network as matrices (out, ...), those of embeddings left out."""
    of = {
        weight: module
        for module in network.modules()
        if isinstance(module, (nn.Embedding, nn.modules.conv._ConvTransposeNd))
        for weight in module.parameters()
    }
    found: list[Tensor] = []
    for weight in network.parameters():
        if weight.ndim < 2 or isinstance(of.get(weight), nn.Embedding):
            continue
        found.append((weight.transpose(0, 1) if weight in of else weight).flatten(1))
    return found


class FreezeD(Constraint):
    """Keeps the first layers of a pre-trained discriminator as they are (Mo et al. 2020).

    Neither their weights nor their statistics move. For fine-tuning: the model's argument
    ``warm_start`` names the checkpoint that both players begin from.

    Args:
        layers: Number of layers with weights, counted from the image.

    Raises:
        ConfigurationError: If there are fewer layers, or none would be left to learn.
    """

    def __init__(self, layers: int = 3) -> None:
        super().__init__()
        check_range(self, at_least(1), layers=layers)
        self.layers = layers

    def attach(self, generator: Generator, discriminator: Discriminator, prior: Prior) -> None:
        """Freezes the layers."""
        everything = list(discriminator.modules())
        heads = [
            part
            for network in everything  # a wrapper's inner one among them
            if isinstance(network, Discriminator)
            for head in (getattr(network, "head", None), getattr(network, "projection", None))
            if head is not None
            for part in head.modules()
        ]
        layers = [
            module for module in everything if isinstance(module, LAYERS) and module not in heads
        ]
        if self.layers > len(layers):
            raise ConfigurationError(
                f"FreezeD: layers={self.layers}, but {type(discriminator).__name__} has only "
                f"{len(layers)} below its head: freeze fewer."
            )
        end = everything.index(layers[self.layers]) if self.layers < len(layers) else None
        learning = {*layers[self.layers :], *heads}
        for module in everything[:end]:
            # What holds a layer that learns may have weights of its own behind that layer.
            if not learning.isdisjoint(module.modules()):
                continue
            rests = isinstance(module, (*LAYERS, nn.modules.batchnorm._NormBase))
            # Normalised layers keep their weights below them, containers only their own.
            for parameter in module.parameters(recurse=rests):
                parameter.requires_grad_(False)
            if rests:
                module.eval()
                module.register_forward_pre_hook(_rest)


def _rest(module: nn.Module, _: object) -> None:
    """Keeps a frozen layer in evaluation mode, where its statistics do not move."""
    module.eval()
