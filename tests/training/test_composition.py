"""What may live with whom follows from what parts say of themselves, whoever wrote them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from small_networks import generating, network_of, packed, perceptron
from tiny import NormedDiscriminator, composition, points_gan
from torch import Tensor, nn
from zoo import Decoding, Styled

from lightning_gan.augment import AdaptiveAugmentation, AdaptivePseudo, Augmentations, InstanceNoise
from lightning_gan.errors import ConfigurationError, UnstableWarning
from lightning_gan.networks import (
    Discriminator,
    FastGANDiscriminator,
    FastGANGenerator,
    MinibatchDiscrimination,
    MLPAutoencoderDiscriminator,
    MLPDiscriminator,
    MLPGenerator,
    wrap,
)
from lightning_gan.objectives import (
    BEGAN,
    Hinge,
    MultiHinge,
    NonSaturating,
    Objective,
    RelativisticPairing,
    TopK,
)
from lightning_gan.regularizers import (
    R1,
    AuxiliaryTask,
    Consistency,
    Constraint,
    FeatureMatching,
    LatentConsistency,
    LatentOptimisation,
    Penalty,
    Regularizer,
    Rotation,
    SpectralNormalization,
    WeightClipping,
)
from lightning_gan.training.latents import CodePrior, UniformPrior

Parts = dict[str, Any]


def autoencoder() -> MLPAutoencoderDiscriminator:
    return MLPAutoencoderDiscriminator(2, 0, width=4, code_dim=3)


def said(parts: Parts) -> str:
    """The refusal of parts, or their warnings; nothing where they can live together."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnstableWarning)
        try:
            composition(**parts).attach()
        except ConfigurationError as error:
            return str(error)
    return " ".join(str(w.message) for w in caught if w.category is UnstableWarning)


class Mine(NonSaturating):
    """An objective that says nothing of itself."""

    has_sign = False  # type: ignore[assignment]


class MyPenalty(Penalty):
    """A penalty that says nothing of itself."""

    def discriminator_term(self, step: Any) -> Tensor:
        return step.real_logits.mean()  # type: ignore[no-any-return]


class MyTask(AuxiliaryTask):
    """A task that says nothing of itself."""

    def discriminator_term(self, step: Any) -> Tensor:
        return step.real_logits.mean()  # type: ignore[no-any-return]


class MyConstraint(Constraint):
    """A constraint that says nothing of itself."""

    def attach(self, *parts: Any) -> None:
        pass


def flagged(kind: type[Any], *arguments: Any, **flags: Any) -> Any:
    """A part of a class that says something more of itself, under the same name."""
    made = type(kind.__name__, (kind,), flags)
    return made(1.0, *arguments) if arguments else made()


class Rule(NamedTuple):
    """Where an attribute is refused or warned of."""

    kind: type[Objective | Regularizer]
    value: Any
    words: str
    parts: Callable[[], Parts] = dict
    """What else is there."""
    mends: tuple[Callable[[], Parts], ...] = ()
    """What else there may be instead."""


def pictures() -> Parts:
    return {"generator": generating(1, 8), "discriminator": perceptron(1, 8)}


def oblong() -> Parts:
    size = (8, 16)
    return {
        "generator": MLPGenerator(1, size, width=4),
        "discriminator": network_of(MLPDiscriminator, 1, size),
    }


RULES: dict[str, list[Rule]] = {
    # objectives
    "reads_labels": [
        Rule(Mine, True, "Mine tells classes apart and the generator has none: set its num_cl"),
        Rule(
            Mine,
            True,
            "Mine scores classes itself.*num_classes of the discriminator to 0",
            lambda: {"generator": generating(classes=3), "discriminator": perceptron(classes=3)},
            (lambda: {"generator": generating(classes=3)},),
        ),
    ],
    "wants_reconstruction": [
        Rule(
            Mine,
            True,
            "Mine judges by the error of a reconstruction, and MLPDiscriminator makes none: take",
            mends=(lambda: {"discriminator": autoencoder()},),
        )
    ],
    "needs_features": [
        Rule(
            Mine,
            True,
            "Mine reads the discriminator's features, and PlainDiscriminator gives logits alone",
            lambda: {"discriminator": wrap(nn.Linear(2, 1), channels=2, image_size=0)},
            (lambda: {"discriminator": perceptron()},),
        )
    ],
    "foresees": [
        Rule(
            Mine,
            True,
            "Mine foresees a discriminator without augmentation: leave the augmentation out",
            lambda: {"augmentation": InstanceNoise()},
            (dict,),
        ),
        Rule(
            Mine,
            True,
            "Mine cannot see through WeightClipping, which has no gradient: bound the slope by Gr",
            lambda: {"regularizers": [WeightClipping()]},
            (lambda: {"regularizers": [SpectralNormalization()]},),
        ),
    ],
    "needs_lipschitz": [
        Rule(
            Mine,
            True,
            "Mine needs a critic of bounded slope: add GradientPenalty or WeightClipping",
            mends=(
                lambda: {"regularizers": [WeightClipping()]},
                lambda: {"regularizers": [SpectralNormalization()]},
                lambda: {"regularizers": [flagged(MyPenalty, bounds_lipschitz=True)]},
            ),
        )
    ],
    "unbounded": [
        Rule(
            Mine,
            True,
            "Mine: the generator's loss has no lower bound, and nothing bounds the slope",
            mends=(lambda: {"regularizers": [SpectralNormalization()]},),
        )
    ],
    "generator_reads": [
        Rule(
            Mine,
            ("real", "fake"),
            "Mine compares reals with fakes, but batch norm in NormedDiscriminator.*batch_norm to",
            lambda: {"discriminator": NormedDiscriminator("batch")},
            (lambda: {"discriminator": NormedDiscriminator("layer")},),
        )
    ],
    "paired": [
        Rule(
            Mine,
            True,
            "Mine with R1 alone diverges.*add R2",
            lambda: {"regularizers": [R1()]},
            (lambda: {"regularizers": [R1(), flagged(MyPenalty, flattens="fake")]},),
        ),
        Rule(
            Mine,
            True,
            "Mine with a penalty at every 16th update fails to converge.*take every=1",
            lambda: {"regularizers": [R1(), flagged(MyPenalty, 16, flattens="fake")]},
        ),
    ],
    # both
    "looks_across": [
        Rule(
            kind,
            True,
            f"{kind.__name__} looks at a batch as a whole, and accumulate=2 shows it pieces; take",
            lambda: {"accumulate": 2},
            (dict,),
        )
        for kind in (Mine, MyPenalty)
    ],
    "per_sample": [
        Rule(
            Mine,
            True,
            "Mine needs one logit for each sample, and a pack has one for several: leave Packed",
            lambda: {"discriminator": packed()},
            (dict,),
        ),
        *(
            Rule(
                kind,
                True,
                f"{kind.__name__} needs logits and features of single samples, and Packed has "
                "one set for 2: leave one of the two out",
                lambda: {"discriminator": packed()},
                (dict,),
            )
            for kind in (MyPenalty, MyConstraint)
        ),
    ],
    # regularizers
    "images_only": [
        Rule(
            kind,
            True,
            f"{kind.__name__} changes images, and the data are points: leave it out",
            mends=(pictures,),
        )
        for kind in (MyPenalty, MyTask)
    ],
    "penalises_slope": [
        Rule(
            MyPenalty,
            True,
            "MyPenalty looks at the slope of each sample, but batch norm in NormedDiscriminator",
            lambda: {"discriminator": NormedDiscriminator("batch")},
            (lambda: {"discriminator": NormedDiscriminator("layer")},),
        )
    ],
    "needs_styles": [
        Rule(
            MyPenalty,
            True,
            "MyPenalty measures the way in style space, and MLPGenerator has no styles: take Sty",
            pictures,
            (lambda: pictures() | {"generator": Styled()},),
        )
    ],
    "needs_decoders": [
        Rule(
            MyPenalty,
            True,
            "MyPenalty needs a discriminator with decoders, and MLP",
            mends=(lambda: {"discriminator": Decoding(2, 0)},),
        )
    ],
    "anchors_logits": [
        Rule(
            MyPenalty,
            True,
            "MyPenalty holds logits in their places.*mean nothing to RelativisticPairing",
            lambda: {"objective": RelativisticPairing()},
            (dict,),
        )
    ],
    "flattens": [
        Rule(
            MyPenalty,
            "real",
            "RelativisticPairing with MyPenalty alone diverges",
            lambda: {"objective": RelativisticPairing()},
            (dict,),
        )
    ],
    "count_moves": [
        Rule(
            Mine,
            True,
            "Mine takes another number of samples each time.*leave compile out",
            lambda: {"compile": True},
            (dict,),
        )
    ],
    "needs_classes": [
        Rule(
            MyTask,
            True,
            "MyTask needs classes and the generator has none: set its num_classes to the data's",
            mends=(lambda: {"generator": generating(classes=3)},),
        )
    ],
    "needs_codes": [
        Rule(
            MyTask,
            True,
            "MyTask looks for the codes of the latents, and the prior has none: set prior to Code",
            lambda: {"prior": UniformPrior()},
            (lambda: {"prior": CodePrior((3,), 1), "generator": MLPGenerator(2, 0, 6)},),
        )
    ],
    "needs_square": [
        Rule(
            MyTask,
            True,
            "MyTask turns images by a right angle, and 8 x 16 pixels change",
            oblong,
            (pictures,),
        )
    ],
    "bounds_weights": [
        Rule(
            MyConstraint,
            True,
            "MyConstraint does nothing under spectral normalisation, which rescales the",
            lambda: {"regularizers": [SpectralNormalization()]},
            (dict,),
        )
    ],
}

ELSEWHERE = {
    "discriminator_reads": "the order of passes, which test_step.py follows",
    "differentiates": "which inputs need a gradient, which the terms themselves need",
    "differentiates_twice": "refused by the precision of a run, below",
    "bounds_lipschitz": "lifts a refusal, that of needs_lipschitz",
    "logged": "names for the logs",
    "joins_features": "refused beside a discriminator that judges squares, below",
    "compares_logits": "likewise",
}


def with_part(part: Objective | Regularizer, others: Parts) -> Parts:
    if isinstance(part, Objective):
        return others | {"objective": part}
    return others | {"regularizers": [part, *others.get("regularizers", [])]}


def test_every_attribute_has_a_rule_or_a_reason() -> None:
    kinds = (Objective, Regularizer, Penalty, AuxiliaryTask, Constraint)
    attributes = {name for kind in kinds for name in kind.__annotations__}
    assert attributes == RULES.keys() | ELSEWHERE.keys()
    assert not RULES.keys() & ELSEWHERE.keys()


@pytest.mark.parametrize(
    ("attribute", "rule"),
    [(attribute, rule) for attribute, rules in RULES.items() for rule in rules],
    ids=lambda value: value if isinstance(value, str) else value.kind.__name__,
)
def test_a_part_is_refused_or_warned_of_for_what_it_says_of_itself_alone(
    attribute: str, rule: Rule
) -> None:
    found = said(with_part(flagged(rule.kind, **{attribute: rule.value}), rule.parts()))
    assert re.match(rule.words, found), found
    assert found.endswith(".")
    assert said(with_part(rule.kind(), rule.parts())) == ""
    for mend in rule.mends:
        part = flagged(rule.kind, **{attribute: rule.value})
        assert said(with_part(part, mend())) == ""


class Clipping(MyConstraint):
    """Acts after each of the discriminator's steps."""

    def constrain(self, discriminator: Discriminator) -> None:
        pass


def test_what_is_foreseen_must_have_no_constraint_that_acts_on_steps() -> None:
    assert Clipping.acts_on_steps()
    assert not MyConstraint.acts_on_steps()
    ahead = flagged(Mine, foresees=True)
    assert "Mine cannot see through Clipping" in said(with_part(Clipping(), {"objective": ahead}))
    assert said(with_part(MyConstraint(), {"objective": ahead})) == ""


@pytest.mark.parametrize(
    "attribute", ["paired", "looks_across", "reads_labels", "wants_reconstruction"]
)
def test_a_wrapper_refuses_an_inner_loss_that_is_not_of_single_samples(attribute: str) -> None:
    parts = {"objective": TopK(flagged(Mine, **{attribute: True})), "generator": generating()}
    assert said(parts).startswith("TopK needs a loss of single samples, and Mine looks at pairs")
    assert said({"objective": TopK(Mine())}) == ""


def test_an_augmentation_that_reads_signs_needs_logits_that_have_one() -> None:
    found = said({"objective": Mine(), "augmentation": AdaptivePseudo()})
    words = "AdaptivePseudo adapts to the sign of logits, which means nothing under Mine: take NonS"
    assert found.startswith(words)
    signed = flagged(Mine, has_sign=True)
    assert said({"objective": signed, "augmentation": AdaptivePseudo()}) == ""
    assert said({"objective": Mine(), "augmentation": InstanceNoise()}) == ""


def test_the_same_kind_twice_is_refused_and_two_kinds_are_not() -> None:
    twice = said({"regularizers": [MyPenalty(), MyPenalty()]})
    assert twice == "MyPenalty is there twice: give it once, with one weight."
    assert said({"regularizers": [MyPenalty(), MyTask()]}) == ""


# --------------------------------------------------------------------------- networks and priors


@pytest.mark.parametrize(
    ("name", "discriminator"),
    [
        ("channels=2 but the discriminator has channels=3", lambda: perceptron(3)),
        ("image_size=0 but the discriminator has image_size=8", lambda: perceptron(2, 8)),
        ("num_classes=0 but the discriminator has num_classes=3", lambda: perceptron(classes=3)),
    ],
)
def test_networks_of_different_data_are_refused(
    name: str, discriminator: Callable[[], Discriminator]
) -> None:
    found = said({"discriminator": discriminator()})
    assert found == f"The generator has {name}: give both the same."


def test_a_discriminator_without_classes_needs_a_part_that_reads_them() -> None:
    parts: Parts = {"generator": generating(classes=3)}
    assert said(parts) == (
        "The generator has num_classes=3 but the discriminator has num_classes=0: give both the "
        "same."
    )
    assert said(with_part(flagged(MyTask, needs_classes=True), parts)) == ""
    assert said(with_part(flagged(Mine, reads_labels=True), parts)) == ""
    assert said(parts | {"discriminator": perceptron(classes=3)}) == ""


def test_an_autoencoder_is_for_losses_of_reconstructions_only() -> None:
    found = said({"discriminator": autoencoder()})
    assert found.startswith("NonSaturating wants logits, and MLPAutoencoderDiscriminator gives the")
    assert said({"discriminator": autoencoder(), "objective": BEGAN()}) == ""


def test_a_prior_must_fit_into_the_latent() -> None:
    parts: Parts = {"prior": CodePrior((10,), 2), "generator": MLPGenerator(2, 0, latent_dim=11)}
    assert said(parts) == (
        "CodePrior makes 12 entries and the generator has latent_dim=11: set it to at least 12."
    )
    assert said(parts | {"generator": MLPGenerator(2, 0, latent_dim=12)}) == ""


def test_batch_norm_in_pieces_is_warned_of() -> None:
    found = said({"discriminator": NormedDiscriminator("batch"), "accumulate": 2})
    assert found.startswith("Batch norm looks at a batch as a whole, and accumulate=2 shows it pie")
    assert said({"discriminator": NormedDiscriminator("layer"), "accumulate": 2}) == ""
    across = said({"regularizers": [FeatureMatching()], "accumulate": 3})
    assert across.startswith("FeatureMatching looks at a batch as a whole, and accumulate=3 shows ")


@pytest.mark.parametrize("make", [iter, lambda parts: filter(None, parts), set, dict.fromkeys])
def test_regularizers_that_are_no_list_are_refused(make: Any) -> None:
    given = make([R1(0.1)])
    with pytest.raises(ConfigurationError, match=r"no list: give list\(\.\.\.\)"):
        composition(regularizers=given)
    with pytest.raises(ConfigurationError, match=r"no list: give list\(\.\.\.\)"):
        points_gan(regularizers=given)


def test_what_turns_images_is_refused_beside_what_tells_turns() -> None:
    found = pictures() | {"augmentation": AdaptiveAugmentation(), "regularizers": [Rotation()]}
    assert "AdaptiveAugmentation turns it again" in said(found)
    inside = Augmentations([InstanceNoise(), AdaptiveAugmentation(geometry=False)])
    assert "Augmentations turns it again" in said(found | {"augmentation": inside})
    still = AdaptiveAugmentation(blit=False, geometry=False)
    assert said(found | {"augmentation": still}) == ""


def test_one_logit_beside_features_is_refused_where_there_are_many() -> None:
    squares = {
        "generator": FastGANGenerator(3, 32, width=4, num_classes=2),
        "discriminator": FastGANDiscriminator(3, 32, width=4),
        "objective": MultiHinge(),
    }
    assert "FastGANDiscriminator gives one for each square" in said(squares)
    judge = FastGANDiscriminator(3, 32, width=4, num_classes=2)
    single = squares | {"objective": Hinge(), "discriminator": judge}
    for penalty in (Consistency(), LatentConsistency(), LatentOptimisation()):
        found = said(single | {"regularizers": [penalty]})
        assert f"{type(penalty).__name__} takes each logit for that of a sample, and" in found
    assert "TopK takes each logit for that of a" in said(single | {"objective": TopK(Hinge())})
    assert said(single) == ""


def test_minibatch_discrimination_in_pieces_is_warned_of() -> None:
    judge = MinibatchDiscrimination(perceptron())
    assert "MinibatchDiscrimination" in said({"discriminator": judge, "accumulate": 2})
    judge = MinibatchDiscrimination(perceptron())
    assert said({"discriminator": judge}) == ""
