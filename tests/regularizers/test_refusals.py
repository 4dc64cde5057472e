"""What regularizers cannot live with, and what they warn of."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from small_networks import network_of
from tiny import NormedDiscriminator, composition, points_gan
from zoo import own

from lightning_gan.errors import ConfigurationError, UnstableWarning
from lightning_gan.networks import DCGANDiscriminator, MLPDiscriminator, MLPGenerator, Packed
from lightning_gan.objectives import Hinge, NonSaturating, Objective, RelativisticPairing, Unrolled
from lightning_gan.regularizers import (
    DRAGAN,
    R1,
    R2,
    AuxiliaryClassifier,
    ConditionalContrastive,
    Consistency,
    DataToDataCrossEntropy,
    DiscriminativeClassifier,
    FeatureMatching,
    GradientPenalty,
    HistoricalAveraging,
    InfoGAN,
    LatentConsistency,
    LatentOptimisation,
    LeCam,
    MaximumPenalty,
    PathLength,
    Reconstruction,
    Regularizer,
    Rotation,
    SpectralNormalization,
    TwinAuxiliaryClassifier,
    WassersteinDivergence,
    WeightClipping,
)
from lightning_gan.training.latents import UniformPrior

KINDS: list[type[Any]] = own(Regularizer)
SLOPES: list[type[Any]] = [DRAGAN, R1, R2, GradientPenalty, MaximumPenalty, WassersteinDivergence]
CLASSES: list[type[Any]] = [
    AuxiliaryClassifier,
    TwinAuxiliaryClassifier,
    DiscriminativeClassifier,
    ConditionalContrastive,
    DataToDataCrossEntropy,
]
for_every_kind = pytest.mark.parametrize("kind", KINDS)


def said(make: Callable[[], Any]) -> list[str]:
    """The warnings of parts that live together badly."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnstableWarning)
        make()
    return [str(w.message) for w in caught if w.category is UnstableWarning]


# ------------------------------------------------------------------------------- slopes and norms


@pytest.mark.parametrize(
    "penalty", [*(kind() for kind in SLOPES), R1(difference=0.01), R2(difference=0.01)], ids=repr
)
def test_batch_norm_is_refused_by_every_penalty_on_the_slope_of_a_sample(
    penalty: Regularizer,
) -> None:
    with pytest.raises(ConfigurationError, match=r"each sample, but batch norm.*to false"):
        points_gan(regularizers=[penalty], discriminator=NormedDiscriminator("batch"))
    points_gan(regularizers=[penalty], discriminator=NormedDiscriminator("layer"))


@for_every_kind
def test_a_wasserstein_critic_is_bounded_by_penalties_clipping_and_spectral_norm_only(
    kind: type[Any],
) -> None:
    assert kind().bounds_lipschitz == (kind in [*SLOPES, WeightClipping, SpectralNormalization])


def test_clipping_is_refused_where_the_generator_looks_ahead() -> None:
    with pytest.raises(ConfigurationError, match=r"Unrolled cannot see through WeightClipping"):
        points_gan(Unrolled(NonSaturating()), [WeightClipping()])


@for_every_kind
def test_sixteen_bits_are_refused_by_whatever_differentiates_twice(kind: type[Any]) -> None:
    part = kind()
    if kind in [*SLOPES, LatentOptimisation, PathLength]:
        for precision in ("16-mixed", "16-true"):
            with pytest.raises(ConfigurationError, match=rf"^{kind.__name__} .*bf16-mixed"):
                composition(regularizers=[part]).check_run(None, precision)
    else:
        composition(regularizers=[part]).check_run(None, "16-mixed")
    for precision in ("bf16-mixed", "32-true", "64-true"):
        composition(regularizers=[part]).check_run(None, precision)


@pytest.mark.parametrize("kind", [R1, R2])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"share": 0.25}, "share=0.25 spares nothing with the exact slope"),
        ({"difference": 0.01, "share": 0.3}, "one over a whole number"),
        ({"difference": 0.01, "share": 0.0}, "share=0.0 must be above 0"),
        ({"difference": 0.01, "share": 1.5}, "share=1.5 must be .*at most 1"),
    ],
)
def test_a_share_that_is_none_is_refused(
    kind: type[R1 | R2], arguments: dict[str, float], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        kind(**arguments)  # type: ignore[arg-type]  # as a user would


def test_a_paired_loss_with_r1_alone_or_a_lazy_penalty_is_warned_of() -> None:
    def messages(*parts: Regularizer, objective: Objective | None = None) -> str:
        return " ".join(said(lambda: points_gan(objective or RelativisticPairing(), list(parts))))

    assert "R1 alone diverges" in messages(R1())
    assert "every 8th update fails to converge" in messages(R1(every=8), R2())
    assert messages(R1(), R2()) == ""
    assert messages(R1(every=8), objective=NonSaturating()) == ""


@pytest.mark.parametrize("part", [None, R1(), SpectralNormalization(), Consistency()], ids=repr)
def test_an_unbounded_generator_loss_is_warned_of_where_nothing_bounds_the_slope(
    part: Regularizer | None,
) -> None:
    critic = DCGANDiscriminator(1, 8, width=4, batch_norm=False)
    parts = [] if part is None else [part]
    messages = said(lambda: picture_gan_with(critic, parts))
    assert bool(messages) == (part is None or isinstance(part, Consistency))
    assert all("no lower bound" in message for message in messages)


def picture_gan_with(critic: DCGANDiscriminator, parts: list[Regularizer]) -> None:
    composition(
        generator=MLPGenerator(1, 8, width=4),
        discriminator=critic,
        objective=Hinge(),
        regularizers=parts,
    ).attach()


@for_every_kind
def test_a_part_that_looks_across_the_batch_is_warned_of_in_pieces(kind: type[Any]) -> None:
    across = [DRAGAN, MaximumPenalty, FeatureMatching, LeCam, *CLASSES[3:]]
    assert kind().looks_across == (kind in across)
    if kind in across:
        generator = MLPGenerator(2, 0, width=4, num_classes=3 if kind in CLASSES else 0)
        for pieces in (1, 2):
            messages = said(
                lambda p=pieces, g=generator: points_gan(
                    regularizers=[kind()], generator=g, accumulate=p
                )
            )
            assert len(messages) == pieces - 1
            assert all(f"{kind.__name__} looks at a batch as a whole" in m for m in messages)


# ---------------------------------------------------------------- packs, classes, images, players


@for_every_kind
def test_packs_are_refused_by_whatever_reads_single_samples(kind: type[Any]) -> None:
    critic = Packed(MLPDiscriminator(2, 8, width=4), pack=2)
    parts = composition(
        generator=MLPGenerator(1, 8, num_classes=2 if kind in CLASSES else 0),
        discriminator=critic,
        objective=NonSaturating(),
        regularizers=[kind()],
    )
    single = [*CLASSES, Rotation, InfoGAN, LatentOptimisation]
    if kind in single:
        with pytest.raises(ConfigurationError, match=r"(Packed|a pack).*leave"):
            parts.attach()
    elif kind not in (PathLength, Reconstruction):
        parts.attach()  # those two need other networks


@pytest.mark.parametrize("kind", CLASSES)
def test_a_generator_without_classes_is_refused_by_whatever_conditions(kind: type[Any]) -> None:
    with pytest.raises(ConfigurationError, match=rf"{kind.__name__} needs classes.*num_classes"):
        points_gan(regularizers=[kind()])
    # the discriminator need not have any of its own
    points_gan(regularizers=[kind()], generator=MLPGenerator(2, 0, width=4, num_classes=3))


@pytest.mark.parametrize("kind", [Consistency, Rotation])
def test_points_are_refused_by_whatever_changes_images(kind: type[Any]) -> None:
    with pytest.raises(ConfigurationError, match="the data are points: leave it out"):
        points_gan(regularizers=[kind()])


def test_images_that_are_not_square_cannot_be_turned() -> None:
    size = (8, 16)
    parts = composition(
        generator=MLPGenerator(1, size),
        discriminator=network_of(MLPDiscriminator, 1, size),
        regularizers=[Rotation()],
    )
    with pytest.raises(ConfigurationError, match="8 x 16 pixels"):
        parts.attach()


@pytest.mark.parametrize("prior", [None, UniformPrior()])
def test_a_prior_without_codes_cannot_be_read(prior: UniformPrior | None) -> None:
    with pytest.raises(ConfigurationError, match="set prior to CodePrior"):
        points_gan(regularizers=[InfoGAN()], prior=prior)


def test_the_same_regularizer_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="R1 is there twice: give it once"):
        points_gan(regularizers=[R1(0.1), R1(0.2)])


# ------------------------------------------------------------------------------- numbers in range


@for_every_kind
@pytest.mark.parametrize(("name", "number"), [("every", 0), ("weight", -1)])
def test_negative_factors_and_intervals_below_one_are_refused(
    kind: type[Any], name: str, number: int
) -> None:
    arguments = inspect.signature(kind).parameters
    for argument in (name, "generator_weight") if name == "weight" else (name,):
        if argument in arguments:
            with pytest.raises(ConfigurationError, match=rf"{kind.__name__}: {argument}={number}"):
                kind(**{argument: number})


OUT_OF_RANGE: list[tuple[type[Any], dict[str, Any]]] = [
    (LeCam, {"decay": 1.0}),
    (LeCam, {"decay": -0.1}),
    (LeCam, {"start": -1}),
    (LatentConsistency, {"sigma": -0.1}),
    (LatentOptimisation, {"step": 0}),
    (LatentOptimisation, {"damping": 0}),
    (LatentOptimisation, {"share": 1.1}),
    (LatentOptimisation, {"clip": 0}),
    (ConditionalContrastive, {"temperature": 0}),
    (ConditionalContrastive, {"embedding_dim": 0}),
    (DataToDataCrossEntropy, {"temperature": -1}),
    (DataToDataCrossEntropy, {"margin": 1.01}),
    (WassersteinDivergence, {"power": 0}),
    (R1, {"difference": 0}),
    (R2, {"difference": -0.01}),
    (HistoricalAveraging, {"generator": False, "discriminator": False}),
]


@pytest.mark.parametrize(("kind", "arguments"), OUT_OF_RANGE)
def test_numbers_out_of_range_are_refused(kind: type[Any], arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=kind.__name__):
        kind(**arguments)
