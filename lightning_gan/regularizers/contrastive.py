"""Conditioning by comparing the samples of a batch with each other and with their classes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from lightning_gan.errors import above, at_least, at_most, check_range
from lightning_gan.regularizers.classifiers import _ClassHead
from lightning_gan.training.schedule import Curve
from lightning_gan.training.step import Step


class _Embedded(_ClassHead):
    """Compares unit embeddings of samples and of classes, over the batch of all processes."""

    looks_across = True
    embed: nn.Linear
    proxies: nn.Embedding

    def __init__(
        self, weight: float | Curve, generator_weight: float | Curve, embedding_dim: int, every: int
    ) -> None:
        super().__init__(weight, generator_weight, every)
        check_range(self, at_least(1), embedding_dim=embedding_dim)
        self.embedding_dim = embedding_dim

    def add_heads(self, num_features: int, num_classes: int) -> None:
        """Makes the projection of features and the proxies of classes."""
        self.embed = nn.Linear(num_features, self.embedding_dim)
        self.proxies = nn.Embedding(num_classes, self.embedding_dim)

    def loss(self, embeddings: Tensor, proxies: Tensor, labels: Tensor) -> Tensor:
        """The loss of unit embeddings (N, D), the proxies (N, D) of their classes, and labels."""
        raise NotImplementedError

    def _term(self, step: Step, features: Tensor) -> Tensor:
        embeddings = normalize(self.embed(features), dim=1)
        proxies = normalize(self.proxies(step.labels), dim=1)
        both = step.gather(torch.cat([embeddings, proxies], dim=1))
        labels = step.gather(step.labels.to(both.dtype)[:, None].detach())[:, 0].long()
        return self.loss(both[:, : self.embedding_dim], both[:, self.embedding_dim :], labels)

    def discriminator_term(self, step: Step) -> Tensor:
        """The loss of reals."""
        return self._term(step, step.real_features)

    def generator_term(self, step: Step) -> Tensor:
        """The loss of fakes."""
        return self._term(step, step.fake_features)


def _products(embeddings: Tensor, proxies: Tensor) -> tuple[Tensor, Tensor]:
    """Inner products of samples with their proxies (N,) and with each other (N, N)."""
    return (embeddings * proxies).sum(dim=1), embeddings @ embeddings.T


class ConditionalContrastive(_Embedded):
    r"""Draws samples to the proxy and the samples of their class (2C loss, ContraGAN).

    .. math:: -\log \frac{e^{f_i^\top e_{y_i}/t} + \sum_{k \ne i, y_k = y_i} e^{f_i^\top f_k / t}}
              {e^{f_i^\top e_{y_i}/t} + \sum_{k \ne i} e^{f_i^\top f_k / t}}

    with f and e of unit length (Kang & Park 2020, Eq. 8): of reals for the discriminator, of fakes
    for the generator, over the batch of all processes.

    Args:
        weight: Factor of the discriminator's term.
        generator_weight: Factor of the generator's term.
        temperature: t.
        embedding_dim: Length of the embeddings.
        every: Interval in each player's updates; the term is multiplied by it.

    Raises:
        ConfigurationError: If the generator has no classes, or the temperature is not positive.
    """

    def __init__(
        self,
        weight: float | Curve = 1.0,
        generator_weight: float | Curve = 1.0,
        temperature: float = 1.0,
        embedding_dim: int = 512,
        every: int = 1,
    ) -> None:
        super().__init__(weight, generator_weight, embedding_dim, every)
        check_range(self, above(0), temperature=temperature)
        self.temperature = temperature

    def loss(self, embeddings: Tensor, proxies: Tensor, labels: Tensor) -> Tensor:
        """The mean over all samples."""
        own, products = _products(embeddings, proxies)
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        others = (products / self.temperature).masked_fill(itself, -torch.inf)
        own = own[:, None] / self.temperature
        alike = others.masked_fill(labels[:, None] != labels, -torch.inf)
        right = torch.cat([own, alike], dim=1).logsumexp(dim=1)
        return (torch.cat([own, others], dim=1).logsumexp(dim=1) - right).mean()


class DataToDataCrossEntropy(_Embedded):
    r"""Draws samples to their class's proxy and away from those of others, with margins (ReACGAN).

    .. math:: -\log \frac{e^{[f_i^\top v_{y_i} - m_p]_- / \tau}}
              {e^{[f_i^\top v_{y_i} - m_p]_- / \tau} + \sum_{j: y_j \ne y_i}
              e^{[f_i^\top f_j - m_n]_+ / \tau}}, \quad m_n = 1 - m_p

    with f and v of unit length (Kang et al. 2021, Eq. 6, D2D-CE): of reals for the discriminator,
    of fakes for the generator, over the batch of all processes. StudioGAN, whose numbers are
    quoted, subtracts the largest exponent of a row from the negatives alone, which is another term.

    Args:
        weight: Factor of the discriminator's term.
        generator_weight: Factor of the generator's term.
        margin: m_p, beyond which a sample is near enough to its proxy.
        temperature: Tau.
        embedding_dim: Length of the embeddings.
        every: Interval in each player's updates; the term is multiplied by it.

    Raises:
        ConfigurationError: If the generator has no classes, or a number is out of range.
    """

    def __init__(
        self,
        weight: float | Curve = 0.5,
        generator_weight: float | Curve = 0.5,
        margin: float = 0.98,
        temperature: float = 0.5,
        embedding_dim: int = 512,
        every: int = 1,
    ) -> None:
        super().__init__(weight, generator_weight, embedding_dim, every)
        check_range(self, above(0), temperature=temperature)
        check_range(self, at_least(0), at_most(1), margin=margin)
        self.margin, self.temperature = margin, temperature

    def loss(self, embeddings: Tensor, proxies: Tensor, labels: Tensor) -> Tensor:
        """The mean over all samples."""
        own, products = _products(embeddings, proxies)
        own = (own - self.margin).clamp(max=0)[:, None] / self.temperature
        apart = (products - (1 - self.margin)).clamp(min=0) / self.temperature
        apart = apart.masked_fill(labels[:, None] == labels, -torch.inf)
        return (torch.cat([own, apart], dim=1).logsumexp(dim=1) - own[:, 0]).mean()
