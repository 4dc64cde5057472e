"""What objectives cannot live with: a sentence that names what, why and the mend."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tiny import NormedDiscriminator, composition, step_of
from zoo import own

from lightning_gan.augment import (
    AdaptiveAugmentation,
    AdaptivePseudo,
    Augmentation,
    Augmentations,
    DiffAugment,
    InstanceNoise,
)
from lightning_gan.errors import ConfigurationError, UnstableWarning
from lightning_gan.networks import (
    Discriminator,
    MLPAutoencoderDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    Packed,
)
from lightning_gan.objectives import (
    BEGAN,
    EBGAN,
    DualContrastive,
    Hinge,
    LeastSquares,
    Minimax,
    MultiHinge,
    NonSaturating,
    Objective,
    RelativisticAverage,
    RelativisticAverageHinge,
    RelativisticAverageLeastSquares,
    RelativisticPairing,
    RelativisticPairingHinge,
    RelativisticPairingLeastSquares,
    SoftmaxGAN,
    TopK,
    Unrolled,
    Wasserstein,
)
from lightning_gan.regularizers import (
    R1,
    R2,
    GradientPenalty,
    Regularizer,
    SpectralNormalization,
    WeightClipping,
)
from lightning_gan.training.schedule import LinearCurve

PAIRED: list[type[Any]] = [
    RelativisticPairing,
    RelativisticPairingLeastSquares,
    RelativisticPairingHinge,
]
COUPLED: list[type[Any]] = [
    RelativisticAverage,
    RelativisticAverageLeastSquares,
    RelativisticAverageHinge,
    DualContrastive,
    SoftmaxGAN,
]
SINGLE: list[type[Any]] = [Minimax, NonSaturating, LeastSquares, Wasserstein, Hinge]
ENERGIES: list[type[Any]] = [BEGAN, EBGAN]
WRAPPERS: list[type[Any]] = [TopK, Unrolled]
ALL = {*PAIRED, *COUPLED, *SINGLE, *ENERGIES, *WRAPPERS, MultiHinge}


def classed(num_classes: int = 3) -> MLPGenerator:
    return MLPGenerator(2, 0, width=4, depth=1, num_classes=num_classes)


def autoencoder() -> MLPAutoencoderDiscriminator:
    return MLPAutoencoderDiscriminator(2, 0, width=4, code_dim=3)


def packed() -> Packed:
    return Packed(MLPDiscriminator(4, 0, width=4, depth=1), pack=2)


def built(kind: type[Any]) -> Objective:
    made: Objective = kind(NonSaturating()) if kind in WRAPPERS else kind()
    return made


def around(objective: Objective) -> dict[str, Any]:
    """The networks that an objective asks for."""
    parts: dict[str, Any] = {"objective": objective}
    if objective.wants_reconstruction:
        parts["discriminator"] = autoencoder()
    if objective.reads_labels:
        parts["generator"] = classed()
    if objective.needs_lipschitz:
        parts["regularizers"] = [GradientPenalty()]
    return parts


def refusal(**parts: Any) -> str:
    """The sentence with which parts are refused."""
    with pytest.raises(ConfigurationError) as caught:
        composition(**parts).attach()
    return str(caught.value)


def warnings_of(**parts: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnstableWarning)
        composition(**parts).attach()
    return [str(warning.message) for warning in caught if warning.category is UnstableWarning]


def assert_said(sentence: str, *words: str) -> None:
    """What, why and the mend, in this order."""
    places = [sentence.find(word) for word in words]
    assert -1 not in places, (sentence, words)
    assert places == sorted(places), (sentence, words)
    assert sentence.endswith(".")


def test_every_objective_is_in_one_of_these_lists() -> None:
    assert set(own(Objective)) == ALL


@pytest.mark.parametrize("kind", [*PAIRED, *COUPLED])
def test_comparing_reals_with_fakes_refuses_batch_norm(kind: type[Any]) -> None:
    found = refusal(objective=kind(), discriminator=NormedDiscriminator("batch"))
    what, why, mend = (
        "batch norm in NormedDiscriminator",
        "two batches apart",
        "batch_norm to false",
    )
    assert_said(found, kind.__name__, what, why, mend)
    composition(objective=kind(), discriminator=NormedDiscriminator("layer")).attach()


@pytest.mark.parametrize("kind", [*SINGLE, *WRAPPERS])
def test_scoring_reals_and_fakes_apart_allows_batch_norm(kind: type[Any]) -> None:
    bounds = [WeightClipping()] if kind is Wasserstein else []
    judge = NormedDiscriminator("batch")
    composition(objective=built(kind), discriminator=judge, regularizers=bounds).attach()


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("kind", [*PAIRED, *COUPLED, MultiHinge, *ENERGIES, *WRAPPERS])
def test_a_wrapper_refuses_what_cannot_be_taken_apart(wrapper: type[Any], kind: type[Any]) -> None:
    found = refusal(objective=wrapper(built(kind)))
    what = f"{wrapper.__name__} needs a loss of single samples"
    assert_said(found, what, f"{kind.__name__} looks at", "take for instance NonSaturating inside")


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("kind", ENERGIES)
def test_a_wrapper_refuses_an_autoencoder_too(wrapper: type[Any], kind: type[Any]) -> None:
    found = refusal(objective=wrapper(built(kind)), discriminator=autoencoder())
    assert_said(found, f"{wrapper.__name__} wants logits", "error of a reconstruction", "take")


@pytest.mark.parametrize("kind", sorted(ALL, key=lambda kind: kind.__name__))
def test_only_a_loss_with_labels_can_smooth_them(kind: type[Any]) -> None:
    # the targets of least squares are arguments of their own
    smooths = "real_label" in inspect.signature(kind).parameters
    assert smooths == (kind in (Minimax, NonSaturating))
    if not smooths:
        arguments = {"objective": NonSaturating()} if kind in WRAPPERS else {}
        with pytest.raises(TypeError, match="real_label"):
            kind(**arguments, real_label=0.9)
    assert "change it instead of smoothing labels" in (inspect.getdoc(LeastSquares) or "")


ADAPTIVE: dict[str, Callable[[], Augmentation]] = {
    "AdaptiveAugmentation": lambda: AdaptiveAugmentation(),
    "AdaptivePseudo": lambda: AdaptivePseudo(),
    "Augmentations": lambda: Augmentations([DiffAugment(), AdaptiveAugmentation()]),
}


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("kind", [*PAIRED, *COUPLED, *ENERGIES, Wasserstein, MultiHinge])
def test_feedback_by_signs_refuses_logits_without_one(kind: type[Any], name: str) -> None:
    found = refusal(**around(built(kind)), augmentation=ADAPTIVE[name]())
    mend = "take NonSaturating or Hinge, or AdaptiveAugmentation with a schedule"
    assert_said(found, name, "sign of logits", f"means nothing under {kind.__name__}", mend)


@pytest.mark.parametrize("kind", [*PAIRED, *COUPLED, *ENERGIES, Wasserstein, MultiHinge])
def test_an_augmentation_without_feedback_goes_with_everything(kind: type[Any]) -> None:
    for augmentation in (
        InstanceNoise(),
        DiffAugment(),
        AdaptiveAugmentation(schedule=LinearCurve(0, 0.5, images=100)),
    ):
        composition(**around(built(kind)), augmentation=augmentation).attach()


@pytest.mark.parametrize(
    "objective",
    [Minimax(), NonSaturating(), Hinge(), LeastSquares(-1, 1, 0), TopK(Hinge())],
    ids=repr,
)
@pytest.mark.parametrize("name", ADAPTIVE)
def test_feedback_by_signs_goes_with_logits_that_have_one(name: str, objective: Objective) -> None:
    composition(objective=objective, augmentation=ADAPTIVE[name]()).attach()


class Harder(WeightClipping):
    """Another clipping."""


@pytest.mark.parametrize("clipping", [WeightClipping(), Harder()], ids=repr)
def test_looking_ahead_refuses_clipped_weights(clipping: Regularizer) -> None:
    found = refusal(objective=Unrolled(NonSaturating()), regularizers=[clipping])
    name = type(clipping).__name__
    assert_said(found, "Unrolled", name, "no gradient", "by GradientPenalty instead")
    composition(objective=TopK(NonSaturating()), regularizers=[clipping]).attach()


def test_looking_ahead_refuses_an_augmentation() -> None:
    found = refusal(objective=Unrolled(NonSaturating()), augmentation=InstanceNoise())
    assert_said(found, "Unrolled", "without augmentation", "leave the augmentation out")
    composition(objective=TopK(NonSaturating()), augmentation=InstanceNoise()).attach()


@pytest.mark.parametrize("objective", [Wasserstein(), TopK(Wasserstein())], ids=repr)
def test_a_wasserstein_critic_refuses_an_unbounded_slope(objective: Objective) -> None:
    found = refusal(objective=objective)
    name = type(objective).__name__
    assert_said(found, name, "bounded slope", "add GradientPenalty or WeightClipping")
    for bound in (GradientPenalty(), WeightClipping(), SpectralNormalization()):
        composition(objective=objective, regularizers=[bound]).attach()


@pytest.mark.parametrize("kind", sorted(ALL, key=lambda kind: kind.__name__))
def test_a_loss_of_minus_the_logit_warns_of_an_unbounded_slope(kind: type[Any]) -> None:
    parts = around(built(kind))
    parts["regularizers"] = [WeightClipping()] if kind is Wasserstein else []
    found = " ".join(warnings_of(**parts))
    assert ("no lower bound" in found) == (kind is Hinge)
    if kind is Hinge:
        assert_said(found, "Hinge", "no lower bound", "add spectral normalisation, R1")
        for bound in (R1(), SpectralNormalization(), GradientPenalty()):
            assert warnings_of(objective=Hinge(), regularizers=[bound]) == []
        assert "no lower bound" in " ".join(warnings_of(objective=TopK(Hinge())))


@pytest.mark.parametrize("kind", ENERGIES)
def test_an_energy_refuses_a_discriminator_that_reconstructs_nothing(kind: type[Any]) -> None:
    found = refusal(objective=kind())
    assert_said(
        found, kind.__name__, "error of a reconstruction", "MLPDiscriminator makes none", "take"
    )


@pytest.mark.parametrize("kind", sorted(ALL - {*ENERGIES}, key=lambda kind: kind.__name__))
def test_an_autoencoder_refuses_all_but_energies(kind: type[Any]) -> None:
    parts = around(built(kind)) | {"discriminator": autoencoder()}
    found = refusal(**parts)
    assert_said(found, f"{kind.__name__} wants logits", "error of a", "or BEGAN or EBGAN")


@pytest.mark.parametrize("kind", PAIRED)
def test_pairs_warn_of_r1_alone_and_of_a_lazy_penalty(kind: type[Any]) -> None:
    alone = warnings_of(objective=kind(), regularizers=[R1()])
    assert_said(alone[0], f"{kind.__name__} with R1 alone", "diverges", "add R2")
    lazy = warnings_of(objective=kind(), regularizers=[R1(), R2(every=16)])
    assert_said(lazy[0], kind.__name__, "every 16th update", "fails to converge", "take every=1")
    for sound in ([R1(), R2()], [R1(every=4), R2(every=4)]):
        assert warnings_of(objective=kind(), regularizers=sound) == []


OF_SINGLE_SAMPLES: set[type[Any]] = {MultiHinge, EBGAN}


@pytest.mark.parametrize("kind", sorted(ALL, key=lambda kind: kind.__name__))
def test_packs_are_refused_by_objectives_of_single_samples_only(kind: type[Any]) -> None:
    parts = around(built(kind))
    judge: Discriminator = packed()
    if kind in ENERGIES:
        judge = Packed(MLPAutoencoderDiscriminator(4, 0, width=4, code_dim=3), pack=2)
    parts["discriminator"] = judge
    if kind in OF_SINGLE_SAMPLES:
        found = refusal(**parts)
        why = ("one logit for each sample", "a pack has one for several", "leave Packed out")
        assert_said(found, kind.__name__, *why)
    else:
        composition(**parts).attach()


class Single(NonSaturating):
    """Needs logits of single samples, by itself."""

    per_sample = True


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_refuses_what_the_objective_inside_cannot_live_with(wrapper: type[Any]) -> None:
    found = refusal(objective=wrapper(Single()), discriminator=packed())
    assert_said(found, "Single needs one logit for each sample", "leave Packed out")
    composition(objective=wrapper(Single())).attach()


def test_classes_are_needed_and_not_twice() -> None:
    found = refusal(objective=MultiHinge())
    assert_said(found, "MultiHinge", "the generator has none", "set its num_classes")
    judge = MLPDiscriminator(2, 0, width=4, depth=1, num_classes=3)
    found = refusal(objective=MultiHinge(), generator=classed(), discriminator=judge)
    assert_said(found, "MultiHinge", "must not depend on them", "num_classes of the discriminator")
    composition(objective=MultiHinge(), generator=classed()).attach()


@pytest.mark.parametrize("kind", sorted(ALL, key=lambda kind: kind.__name__))
def test_whole_batches_warn_of_pieces(kind: type[Any]) -> None:
    parts = around(built(kind))
    found = warnings_of(**parts, accumulate=2)
    across = [message for message in found if "looks at a batch as a whole" in message]
    assert bool(across) == (kind in {*COUPLED, *WRAPPERS, EBGAN})
    for message in across:
        assert_said(message, kind.__name__, "accumulate=2 shows it pieces", "take accumulate=1")
    alone = warnings_of(**around(built(kind)))
    assert not any("as a whole" in message for message in alone)


def test_codes_of_one_sample_cannot_be_compared() -> None:
    one, judge = torch.zeros(1, 2), autoencoder()
    step = step_of(one, one, judge.output)
    with pytest.raises(ConfigurationError, match=r"compares samples: take batches of at least 2\."):
        EBGAN().generator_loss(step)
    assert torch.isfinite(EBGAN(pull_away=0).generator_loss(step))
