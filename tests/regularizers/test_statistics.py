"""Penalties on averages: of logits, of features, of weights; and the reconstruction of reals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny import composition, fit, looked_at, points_gan, scored, step_of, term
from torch import Tensor, nn

from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import ConfigurationError, UnstableWarning
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import Hinge, NonSaturating, RelativisticPairing, Wasserstein
from lightning_gan.regularizers import (
    Drift,
    FeatureMatching,
    HistoricalAveraging,
    LeCam,
    Reconstruction,
    SpectralNormalization,
)
from lightning_gan.training.schedule import PLAYERS
from lightning_gan.training.step import Step

# --------------------------------------------------------------------------------------- LeCam


def lecam(real: float, fake: float, **arguments: Any) -> LeCam:
    """LeCam that has begun, with given averages, which move by less than float32 can tell."""
    penalty = LeCam(start=0, decay=1 - 1e-12, **arguments)
    penalty.mean_real.fill_(real)
    penalty.mean_fake.fill_(fake)
    penalty.updates.fill_(5)
    return penalty


@pytest.mark.parametrize("one_sided", [False, True])
def test_lecam_is_zero_where_each_kind_lies_on_the_average_of_the_other(one_sided: bool) -> None:
    step = scored(torch.full((4,), -0.5), torch.full((4,), 2.0))
    assert term(lecam(2, -0.5, one_sided=one_sided), step) == 0
    assert term(lecam(-0.5, 2), step) == pytest.approx(2 * 2.5**2)  # were it not crossed: 0


def test_lecam_is_the_squared_distance_from_the_other_average_and_one_sided_the_part_beyond() -> (
    None
):
    r = torch.tensor([3.0, 1.0, -2.0], dtype=torch.float64, requires_grad=True)
    f = torch.tensor([-1.0, 2.5, 0.0], dtype=torch.float64, requires_grad=True)
    step = scored(r, f)
    # averages 2 of reals and 0.5 of fakes
    both = ((2.5**2 + 0.5**2 + 2.5**2) + (3**2 + 0.5**2 + 2**2)) / 3
    beyond = ((2.5**2 + 0.5**2) + (3**2 + 2**2)) / 3
    assert term(lecam(2, 0.5), step) == pytest.approx(both, rel=1e-6)
    assert term(lecam(2, 0.5, one_sided=True), step) == pytest.approx(beyond, rel=1e-6)
    by_real, by_fake = torch.autograd.grad(lecam(2, 0.5).discriminator_term(step), (r, f))
    assert torch.allclose(by_real, 2 * (r - 0.5) / 3)
    assert torch.allclose(by_fake, 2 * (f - 2) / 3)


def test_the_papers_form_is_never_below_the_one_sided_one() -> None:
    for _ in range(20):
        r, f, averages = torch.randn(8), torch.randn(8), torch.randn(2).tolist()
        both = term(lecam(*averages), scored(r, f))
        assert both >= term(lecam(*averages, one_sided=True), scored(r, f))


@pytest.mark.parametrize("start", [0, 1, 3])
@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_lecam_begins_at_its_start_and_its_averages_decay_from_there(
    start: int, decay: float
) -> None:
    penalty = LeCam(start=start, decay=decay)
    mean_real = mean_fake = float("nan")  # what they begin with must never count
    for update in range(8):
        # as in lecam-gan, which counts iterations from 1: they move, then the term is taken
        r, f = torch.randn(2, 5, dtype=torch.float64) + 3
        keep = decay if update + 1 >= start and update > 0 else 0.0
        mean_real = (keep * mean_real if keep else 0) + (1 - keep) * float(r.mean())
        mean_fake = (keep * mean_fake if keep else 0) + (1 - keep) * float(f.mean())
        expected = 0.0
        if update + 1 > start:
            reals, fakes = r.numpy(), f.numpy()
            expected = np.mean((reals - mean_fake) ** 2) + np.mean((fakes - mean_real) ** 2)
        assert term(penalty, scored(r, f)) == pytest.approx(expected, rel=1e-5)
        penalty.observe(scored(r, f), r, f)
        penalty.observe(scored(r, f, player="generator"), r[:0], f + 100)
        assert float(penalty.mean_real) == pytest.approx(mean_real, rel=1e-5)
        assert float(penalty.mean_fake) == pytest.approx(mean_fake, rel=1e-5)
    assert int(penalty.updates) == 8


def test_lecam_learns_from_all_logits_of_an_update_in_training() -> None:
    with pytest.warns(UnstableWarning, match="LeCam looks at a batch as a whole"):
        gan = points_gan(Hinge(), [LeCam(start=100)], accumulate=2)
    fit(gan, 3)
    outputs = [output for output in gan.outputs if output.real_logits is not None]
    for name in ("real", "fake"):
        logits = torch.cat([getattr(output, f"{name}_logits") for output in outputs])
        found = getattr(gan.regularizers[0], f"mean_{name}")
        assert float(found) == pytest.approx(float(logits.mean()), rel=1e-5)
    assert len(outputs) == 2


@pytest.mark.parametrize("objective", [RelativisticPairing(), Wasserstein()], ids=repr)
def test_lecam_warns_where_only_differences_of_logits_mean_anything(objective: Any) -> None:
    parts = composition(objective=objective, regularizers=[LeCam(), SpectralNormalization()])
    with pytest.warns(UnstableWarning, match="LeCam holds logits in their places"):
        parts.attach()


@pytest.mark.filterwarnings("error::lightning_gan.errors.UnstableWarning")
@pytest.mark.parametrize("objective", [NonSaturating(), Hinge()], ids=repr)
def test_lecam_does_not_warn_where_a_logit_has_a_sign(objective: Any) -> None:
    composition(objective=objective, regularizers=[LeCam(), SpectralNormalization()]).attach()


# ------------------------------------------------------------------------ drift and the features


def test_drift_is_the_mean_square_of_real_logits_with_the_gradient_of_each() -> None:
    r, f = torch.randn(2, 7, dtype=torch.float64)
    step = scored(r.requires_grad_(), f.requires_grad_())
    penalty = Drift(weight=0.25)
    found = penalty.weight * penalty.discriminator_term(step)
    assert float(found.detach()) == pytest.approx(0.25 * np.mean(r.detach().numpy() ** 2))
    by_real, by_fake = torch.autograd.grad(found, (r, f), allow_unused=True)
    assert torch.allclose(by_real, 2 * 0.25 * r / 7)
    assert by_fake is None


def featured(real: Tensor, fake: Tensor) -> Step:
    """A batch whose features are the squares of the samples."""

    def score(samples: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return samples.sum(1), samples.square()

    return step_of(real, fake, score)


def test_features_match_where_the_fakes_are_the_reals_in_any_order() -> None:
    real = torch.randn(6, 3, dtype=torch.float64)
    for absolute in (False, True):
        step = featured(real, real.flip(0))
        assert term(FeatureMatching(absolute=absolute), step, "generator") == pytest.approx(0)


def test_feature_matching_is_the_distance_of_means_and_not_the_mean_of_distances() -> None:
    real, fake = torch.randn(2, 6, 3, dtype=torch.float64)
    means = [np.mean(samples.numpy() ** 2, axis=0) for samples in (real, fake)]
    step = featured(real, fake)
    squared = float(np.sum((means[0] - means[1]) ** 2))
    assert term(FeatureMatching(), step, "generator") == pytest.approx(squared, rel=1e-12)
    absolute = float(np.mean(np.abs(means[0] - means[1])))
    found = term(FeatureMatching(absolute=True), step, "generator")
    assert found == pytest.approx(absolute, rel=1e-12)


def test_the_features_of_reals_are_fixed() -> None:
    real, fake = torch.randn(2, 6, 3, dtype=torch.float64)
    step = featured(real.requires_grad_(), fake.requires_grad_())
    found = FeatureMatching().generator_term(step)
    by_real, by_fake = torch.autograd.grad(found, (real, fake), allow_unused=True)
    assert by_real is None
    assert by_fake.abs().min() > 0


def test_feature_matching_moves_the_generator_and_leaves_the_discriminator_alone() -> None:
    matching, plain = (fit(points_gan(regularizers=r), 1) for r in ([FeatureMatching(50)], []))
    for player, same in (("generator", False), ("discriminator", True)):
        pairs = zip(
            getattr(matching, player).parameters(), getattr(plain, player).parameters(), strict=True
        )
        assert all(torch.equal(a, b) for a, b in pairs) == same
    ours, theirs = (gan.discriminator.head.weight.grad for gan in (matching, plain))
    assert torch.equal(ours, theirs)  # what is left there is of its own step


# -------------------------------------------------------------------------- historical averaging


def histories(kinds: dict[str, bool], **networks: Any) -> tuple[HistoricalAveraging, Step]:
    parts = composition(regularizers=[HistoricalAveraging(**kinds)], **networks)
    parts.attach()
    networks = {name: getattr(parts, name).double() for name in PLAYERS}
    step = scored(*torch.zeros(2, 2, dtype=torch.float64), **networks)
    return parts.regularizers[0].double(), step  # type: ignore[return-value]


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_historical_averaging_is_the_distance_from_the_mean_of_all_weights_so_far(
    player: Any,
) -> None:
    averaging, step = histories({})
    step = replace(step, player=player)
    network, history = getattr(step, player), []
    assert term(averaging, step, player) == 0  # there is no history yet
    for _ in range(5):
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn_like(weight))
        averaging.observe(step, torch.empty(0), torch.empty(0))
        history.append([p.detach().numpy().copy() for p in network.parameters()])
        with torch.no_grad():
            for weight in network.parameters():  # as in the next update of an optimizer
                weight.mul_(1.5)
        expected = sum(
            np.sum((weight.detach().numpy() - np.mean(past, axis=0)) ** 2)
            for weight, past in zip(network.parameters(), zip(*history, strict=True), strict=True)
        )
        found = getattr(averaging, f"{player}_term")(step)
        assert float(found.detach()) == pytest.approx(expected, rel=1e-9)
        gradients = torch.autograd.grad(found, list(network.parameters()))
        for gradient, weight, past in zip(
            gradients, network.parameters(), zip(*history, strict=True), strict=True
        ):
            away = 2 * (weight.detach().numpy() - np.mean(past, axis=0))
            assert gradient.numpy() == pytest.approx(away, rel=1e-9)


def test_weights_that_rest_have_no_history_to_go_back_to() -> None:
    averaging, step = histories({})
    step = replace(step, player="generator")
    for _ in range(4):
        averaging.observe(step, torch.empty(0), torch.empty(0))
        assert term(averaging, step, "generator") == pytest.approx(0, abs=1e-25)
    assert averaging.counts.tolist() == [0, 4]


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_one_player_can_be_averaged_alone(player: str) -> None:
    kinds = {"generator": False, "discriminator": False} | {player: True}
    averaging, step = histories(kinds)
    terms = {p: getattr(averaging, f"{p}_term")(replace(step, player=p)) for p in kinds}
    assert {p: t is not None for p, t in terms.items()} == kinds
    prefixes = {name.split("_")[0] for name, _ in averaging.named_buffers()} - {"counts"}
    assert prefixes == {player}


@pytest.mark.parametrize("first", [False, True])
def test_averaging_knows_its_weights_wherever_spectral_norm_puts_them(first: bool) -> None:
    parts = [HistoricalAveraging(), SpectralNormalization(generator=True)]
    gan = fit(points_gan(regularizers=parts if first else parts[::-1]), 1)
    averaging = parts[0]
    means = [value for name, value in averaging.named_buffers() if name != "counts"]
    players = (gan.discriminator, gan.generator)
    shown = [p.detach() for player in players for p in player.parameters()]
    for weight in shown:  # of one update the mean is the weight itself
        assert any(m.shape == weight.shape and torch.equal(m, weight) for m in means)
    assert len(means) == len(shown)


# -------------------------------------------------------------------------------- reconstruction


class Painter(MLPDiscriminator):
    """A discriminator with two decoders: of all numbers, and of their sum."""

    def __init__(self) -> None:
        super().__init__(3, 0, width=4, depth=1)
        self.decoder, self.second = nn.Linear(4, 3), nn.Linear(4, 1)

    def reconstructions(self, samples: Tensor, random: RandomStream) -> list[tuple[Tensor, Tensor]]:
        features = self.features(samples)
        wanted = samples.sum(dim=1, keepdim=True)
        return [(self.decoder(features), samples), (self.second(features), wanted)]


def test_reconstruction_is_the_mean_absolute_error_of_each_decoder_on_reals() -> None:
    painter = Painter()
    gan = points_gan(
        regularizers=[Reconstruction()], discriminator=painter, generator=MLPGenerator(3, 0)
    )
    step = looked_at(gan, "discriminator")
    found = gan.regularizers[0].discriminator_term(step)
    features = painter.features(step.real).detach()
    all_of = painter.decoder(features).detach().numpy() - step.real.numpy()
    sums = painter.second(features).detach().numpy()[:, 0] - step.real.numpy().sum(axis=1)
    expected = np.abs(all_of).mean() + np.abs(sums).mean()
    assert float(found.detach()) == pytest.approx(expected, rel=1e-9)
    learners = [painter.decoder.weight, painter.second.weight, painter.layers[1].weight]
    for gradient in torch.autograd.grad(found, learners):
        assert gradient.abs().sum() > 0


def test_a_perfect_decoder_pays_nothing() -> None:
    class Perfect(Painter):
        def reconstructions(
            self, samples: Tensor, random: RandomStream
        ) -> list[tuple[Tensor, Tensor]]:
            return [(samples, samples)]

    step = scored(torch.randn(4), torch.randn(4), discriminator=Perfect())
    assert term(Reconstruction(), step) == 0


def test_reconstruction_refuses_a_discriminator_without_decoders() -> None:
    with pytest.raises(ConfigurationError, match=r"decoders.*MLPDiscriminator has none"):
        points_gan(regularizers=[Reconstruction()])
