"""Frechet distance during training."""

from __future__ import annotations

from lightning.pytorch import Trainer

from lightning_gan.callbacks.sampled import SampledMetric, reference_data
from lightning_gan.gan import GAN
from lightning_gan.metrics import frechet
from lightning_gan.metrics.extractors import default_extractor, get_extractor
from lightning_gan.metrics.reference import ReferenceStatistics


class FrechetDistance(SampledMetric):
    """Logs ``fid/<extractor>`` between fresh samples and the training split, with its floor.

    The floor is what a perfect generator scores with so many samples. The statistics of the reals
    are computed once and cached under a key of data and extractor.

    Args:
        extractor: Name of a feature extractor, or import path of a FeatureExtractor class; the
            data's own where None.
        num_samples: Samples generated for one value, over all processes.
        seed: Seed of the latents.
        cache_dir: Where the statistics of the reals are kept; the user's cache folder where None.
    """

    def __init__(
        self,
        extractor: str | None = None,
        num_samples: int = 10_000,
        seed: int = 0,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__(num_samples, seed)
        self.extractor = extractor
        self.cache_dir = cache_dir

    def make_metric(self, trainer: Trainer, gan: GAN) -> frechet.FrechetDistance:
        """The distance to the training split; rank zero fills the cache that the others read."""
        data = reference_data(trainer, type(self).__name__)
        name = self.extractor or default_extractor(data.name, data.channels, data.image_size)
        extractor = get_extractor(name)
        images = data.split("train").images
        extractor.to(gan.device)

        def build() -> ReferenceStatistics:
            return ReferenceStatistics.load_or_build(
                images, extractor, split="train", data_name=data.name, cache_dir=self.cache_dir
            )

        if trainer.is_global_zero:
            reference = build()
            trainer.strategy.barrier()
        else:
            trainer.strategy.barrier()
            reference = build()
        return frechet.FrechetDistance(extractor, reference)
