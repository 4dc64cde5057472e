"""Penalties against closed forms and a reference, and the mistakes that libraries made."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from tiny import (
    NormedDiscriminator,
    Points,
    composition,
    factor_of_term,
    fit,
    looked_at,
    points_gan,
    quiet_trainer,
    random_for,
    random_step,
    slope_critic,
    step_of,
    term,
)
from torch import Tensor

from lightning_gan.augment import Augmentation
from lightning_gan.basics.randomness import RandomStream
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import DCGANDiscriminator, Discriminator, MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import Hinge, RelativisticPairing, Wasserstein
from lightning_gan.regularizers import (
    R1,
    R2,
    Constraint,
    GradientPenalty,
    Penalty,
    Regularizer,
    WeightClipping,
)
from lightning_gan.training.schedule import LinearCurve, PerBatch, ValueOf
from lightning_gan.training.step import Step

SHAPES = [(2,), (1, 28, 28), (3, 8, 8)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 4, 64])
def test_gradient_penalty_vanishes_for_a_critic_of_unit_slope(
    count: int, shape: tuple[int, ...]
) -> None:
    # One norm over the whole batch gives 0, 1 and 49 at these sizes; one over channels only gives
    # 0.93 on 1 x 28 x 28.
    step = random_step(slope_critic(1, shape), count, shape)
    assert term(GradientPenalty(), step) == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("count", [1, 4, 64])
@pytest.mark.parametrize(
    ("slope", "two_sided", "one_sided"), [(3, 4, 4), (0.5, 0.25, 0), (0, 1, 0)]
)
def test_gradient_penalty_is_the_square_of_the_excess(
    count: int, slope: float, two_sided: float, one_sided: float
) -> None:
    step = random_step(slope_critic(slope, (3, 8, 8)), count, (3, 8, 8))
    assert term(GradientPenalty(), step) == pytest.approx(two_sided, abs=1e-12)
    assert term(GradientPenalty(one_sided=True), step) == pytest.approx(one_sided, abs=1e-12)


@pytest.mark.parametrize("regularizer", [GradientPenalty(), R1(), R2()], ids=repr)
def test_a_flat_critic_gives_no_nan(regularizer: Regularizer) -> None:
    weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    step = random_step(lambda samples, _: samples @ weight, 4, (2,))
    penalty = regularizer.discriminator_term(step)
    assert penalty is not None
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert torch.isfinite(penalty)
    assert gradient.tolist() == [0, 0]


def test_gradient_penalty_equals_a_reference_written_sample_by_sample() -> None:
    critic = MLPDiscriminator(2, 0, width=8, depth=2).double()
    step = random_step(critic, 6, (2,))
    alpha = random_for(step.real).uniform(1)
    expected = torch.tensor(0.0, dtype=torch.float64)
    for i in range(6):
        point = (alpha[i] * step.real[i] + (1 - alpha[i]) * step.fake[i]).detach()
        point.requires_grad_()
        logit = critic(point[None], step.labels[:1])
        (slope,) = torch.autograd.grad(logit, point, create_graph=True)
        expected = expected + ((slope**2).sum() ** 0.5 - 1) ** 2 / 6
    found = GradientPenalty().discriminator_term(step)
    weights = [p for p in critic.parameters() if p.ndim == 2]
    ours, theirs = torch.autograd.grad(found, weights), torch.autograd.grad(expected, weights)
    assert torch.allclose(found, expected, rtol=1e-12)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-10)


def test_each_sample_has_one_place_of_its_own_between_real_and_fake() -> None:
    seen = []

    def score(samples: Tensor, labels: Tensor) -> Tensor:
        seen.append(samples.detach())
        return samples.flatten(1).sum(1)

    step = random_step(score, 64, (3, 4, 4))
    term(GradientPenalty(), step)
    alpha = ((seen[-1] - step.fake) / (step.real - step.fake)).detach().flatten(1)
    assert torch.allclose(alpha, alpha[:, :1].expand_as(alpha), atol=1e-8)
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    assert alpha[:, 0].std() > 0.2


def test_gradient_penalty_reaches_the_critic_but_not_the_generator() -> None:
    critic = MLPDiscriminator(2, 0, width=4, depth=1).double()
    step = random_step(critic, 4, (2,))
    penalty = GradientPenalty().discriminator_term(step)
    by_fake = torch.autograd.grad(penalty, step.fake, allow_unused=True, retain_graph=True)
    assert by_fake == (None,)
    penalty.backward()
    assert critic.layers[1].weight.grad.abs().sum() > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 4, 64])
@pytest.mark.parametrize("regularizer", [R1(), R2()], ids=repr)
def test_r1_and_r2_of_a_linear_critic_are_half_its_squared_weight_for_any_data(
    regularizer: Regularizer, count: int, shape: tuple[int, ...]
) -> None:
    step = random_step(slope_critic(3, shape), count, shape)
    assert term(regularizer, step) == pytest.approx(9 / 2, rel=1e-12)


def test_r1_looks_at_reals_and_r2_at_fakes() -> None:
    real, fake = torch.full((4, 2), 1.0), torch.full((4, 2), 3.0)
    for sample in (real, fake):
        sample.requires_grad_()
    # the gradient of |x|^2 is 2x
    step = step_of(real, fake, lambda samples, _: samples.square().sum(1))
    assert term(R1(), step) == pytest.approx(0.5 * 4 * 2 * 1)
    assert term(R2(), step) == pytest.approx(0.5 * 4 * 2 * 9)


def test_r1_takes_the_gradient_before_the_augmentation() -> None:
    class Linear(Discriminator):
        def forward(self, samples: Tensor, labels: Tensor) -> Tensor:
            return samples @ samples.new_tensor([3.0, 4.0])

    class Twice(Augmentation):
        def forward(self, samples: Tensor, random: RandomStream, value_of: ValueOf) -> Tensor:
            return 2 * samples

    gan = points_gan(regularizers=[R1()], discriminator=Linear(2, 0), augmentation=Twice())
    step = looked_at(gan, "discriminator")
    assert term(R1(), step) == pytest.approx((2 * 5) ** 2 / 2)


@pytest.mark.parametrize("every", [1, 2, 5])
def test_over_one_interval_a_lazy_penalty_weighs_as_much_as_an_eager_one(every: int) -> None:
    lazy, eager = (points_gan(regularizers=[R1(0.3, every=k)]) for k in (every, 1))
    times = sum(len(lazy.game.discriminator.due(update)) for update in range(20))
    assert times == 20 // every
    assert times * factor_of_term(lazy) == pytest.approx(20 * factor_of_term(eager))
    assert factor_of_term(eager) == pytest.approx(0.3)


def test_a_weight_can_move_with_the_images_seen() -> None:
    gan = points_gan(regularizers=[R1(LinearCurve(1, 0, images=100), every=4)])
    found = [factor_of_term(gan, images=images) for images in (0, 50, 200)]
    assert found == pytest.approx([4, 2, 0])


class CountingAdam(torch.optim.Adam):
    """Adam that counts its steps."""

    steps = 0

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        type(self).steps += 1
        return super().step(closure)  # type: ignore[return-value]


def test_a_penalty_takes_no_optimizer_step_of_its_own() -> None:
    CountingAdam.steps = 0
    gan = points_gan(Wasserstein(), [GradientPenalty(), R1()], discriminator_optimizer=CountingAdam)
    fit(gan, 5)
    assert CountingAdam.steps == gan.progress.discriminator_updates == 5


def test_every_counts_the_players_own_updates() -> None:
    due = []

    class Watched(Penalty):
        def discriminator_term(self, step: Step) -> Tensor:
            due.append(step.value_of(float) // 8)
            return step.real_logits.mean() * 0

    fit(points_gan(regularizers=[Watched(every=3)]), 8)
    assert due == [0, 3, 6]


def test_a_generator_that_moves_seldom_still_counts_its_own_updates() -> None:
    due = []

    class Watched(Penalty):
        def generator_term(self, step: Step) -> None:
            due.append(step.value_of(float) // 8)

    fit(points_gan(regularizers=[Watched(every=2)], alternation=PerBatch(2)), 8)
    assert due == [1, 5]  # of batches 1, 3, 5 and 7, all odd


def test_a_term_for_the_generator_joins_its_loss_only() -> None:
    class Pull(Penalty):
        def generator_term(self, step: Step) -> Tensor:
            return step.fake.square().mean()

    with_pull, without = (fit(points_gan(regularizers=r), 1) for r in ([Pull(100)], []))
    same = {
        player: all(
            torch.equal(a, b)
            for a, b in zip(
                getattr(with_pull, player).parameters(),
                getattr(without, player).parameters(),
                strict=True,
            )
        )
        for player in ("generator", "discriminator")
    }
    assert same == {"generator": False, "discriminator": True}


def test_weights_are_clipped_after_every_step_of_the_critic() -> None:
    gan = points_gan(Wasserstein(), [WeightClipping(0.01)])
    before = [p.abs().max() for p in gan.generator.parameters()]
    fit(gan, 3)
    largest = [float(p.detach().abs().max()) for p in gan.discriminator.parameters()]
    assert max(largest) == pytest.approx(0.01)
    assert max(float(p.detach().abs().max()) for p in gan.generator.parameters()) > 0.1
    assert len(before) > 0


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_clipping_leaves_normalisation_layers_alone(norm: str) -> None:
    critic = NormedDiscriminator(norm)
    WeightClipping(0.01).constrain(critic)
    assert critic.layers[1].weight.tolist() == [1.0] * 4
    assert float(critic.layers[0].weight.detach().abs().max()) <= 0.01
    assert float(critic.head.weight.detach().abs().max()) <= 0.01  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1(), R2()], ids=repr)
def test_penalties_on_the_slope_refuse_batch_norm(penalty: Regularizer) -> None:
    with pytest.raises(ConfigurationError, match=r"batch norm.*batch_norm to false"):
        points_gan(regularizers=[penalty], discriminator=NormedDiscriminator("batch"))
    points_gan(regularizers=[penalty], discriminator=NormedDiscriminator("layer"))


def test_clipping_refuses_spectral_norm() -> None:
    critic = DCGANDiscriminator(1, 8, width=4, batch_norm=False, spectral_norm=True)
    parts = composition(
        generator=MLPGenerator(1, 8), discriminator=critic, regularizers=[WeightClipping()]
    )
    with pytest.raises(ConfigurationError, match="spectral"):
        parts.attach()


@pytest.mark.parametrize("others", [[], [R1(every=1)], [WeightClipping()], [GradientPenalty()]])
def test_wasserstein_refuses_a_critic_of_unbounded_slope(others: list[Regularizer]) -> None:
    if others:
        points_gan(Wasserstein(), others)
        return
    with pytest.raises(ConfigurationError, match="GradientPenalty or WeightClipping"):
        points_gan(Wasserstein(), others)


def test_a_paired_loss_refuses_batch_norm() -> None:
    with pytest.raises(ConfigurationError, match="batch norm"):
        points_gan(RelativisticPairing(), discriminator=NormedDiscriminator("batch"))
    points_gan(Hinge(), discriminator=NormedDiscriminator("batch"))


def test_sixteen_bit_floats_are_refused_under_r1() -> None:
    gan = points_gan(regularizers=[R1()])
    gan.trainer = quiet_trainer(precision="bf16-mixed")
    gan.setup("fit")
    object.__setattr__(gan.trainer.strategy.precision_plugin, "precision", "16-mixed")
    with pytest.raises(ConfigurationError, match="bf16-mixed"):
        gan.setup("fit")


def test_a_regularizer_that_does_nothing_is_an_error() -> None:
    class Idle(Penalty):
        pass

    class Slack(Constraint):
        pass

    class Vague(Regularizer):
        def discriminator_term(self, step: Step) -> Tensor:
            return step.real_logits.mean()

    with pytest.raises(TypeError, match="Idle must define discriminator_term or generator_term"):
        Idle()
    with pytest.raises(TypeError, match="Slack must define attach or constrain"):
        Slack()
    with pytest.raises(TypeError, match="Vague must derive from Penalty, AuxiliaryTask, Constr"):
        Vague()


@pytest.mark.parametrize(
    "make",
    [lambda: R1(every=0), lambda: R2(weight=-1), lambda: WeightClipping(0)],
    ids=["every", "weight", "bound"],
)
def test_numbers_out_of_range_are_refused(make: Callable[[], Regularizer]) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_relativistic_pairing_with_r1_and_r2_trains_through_second_derivatives() -> None:
    gan = points_gan(RelativisticPairing(), [R1(0.1), R2(0.1)])
    quiet_trainer(max_steps=3).fit(gan, Points(8))
    assert gan.outputs[0].terms.keys() == {"R1", "R2"}
    assert all(math.isfinite(float(value)) for value in gan.outputs[0].terms.values())
