"""DRAGAN, powers and maxima of the slope, and slopes by finite differences."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from tiny import (
    distance_from_uniform,
    fit,
    picture_gan,
    points_gan,
    random_for,
    random_step,
    slope_critic,
    step_of,
    term,
)
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from lightning_gan.augment import AdaptiveAugmentation, Augmentation, DiffAugment, InstanceNoise
from lightning_gan.basics.randomness import Seeds, Shard
from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    Discriminator,
    MinibatchDiscrimination,
    MLPDiscriminator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from lightning_gan.objectives import Hinge, NonSaturating, Wasserstein
from lightning_gan.regularizers import (
    DRAGAN,
    R1,
    R2,
    GradientPenalty,
    MaximumPenalty,
    Regularizer,
    WassersteinDivergence,
)
from lightning_gan.regularizers.gradient_penalties import unequal_shares
from lightning_gan.training.schedule import Progress
from lightning_gan.training.step import Step

SHAPES = [(2,), (1, 28, 28), (3, 8, 8)]
BETWEEN = [GradientPenalty(), WassersteinDivergence(), MaximumPenalty()]
for_sizes = pytest.mark.parametrize("count", [1, 4, 64])
for_shapes = pytest.mark.parametrize("shape", SHAPES)


class Spy:
    """A critic that keeps what it is shown; half the squared norm, whose slope is the norm."""

    seen: Tensor

    def __call__(self, samples: Tensor, labels: Tensor) -> Tensor:
        self.seen = samples.detach()
        return samples.flatten(1).square().sum(1) / 2


def same_gradients(
    found: Tensor, expected: Tensor, weights: list[nn.Parameter], rtol: float = 1e-9
) -> bool:
    ours, theirs = (torch.autograd.grad(t, weights) for t in (found, expected))
    return all(torch.allclose(a, b, rtol=rtol) for a, b in zip(ours, theirs, strict=True))


# -------------------------------------------------------------------------------------- DRAGAN


@for_shapes
@for_sizes
def test_dragan_vanishes_for_a_critic_of_unit_slope(count: int, shape: tuple[int, ...]) -> None:
    # One norm over the whole batch gives 0, 1 and 49 at these sizes; one over channels only gives
    # 0.93 on 1 x 28 x 28.
    step = random_step(slope_critic(1, shape), count, shape)
    assert term(DRAGAN(), step) == pytest.approx(0, abs=1e-20)


@for_sizes
@pytest.mark.parametrize(("slope", "expected"), [(3, 4), (0.5, 0.25), (0, 1)])
def test_dragan_is_the_squared_distance_of_the_slope_from_one(
    count: int, slope: float, expected: float
) -> None:
    step = random_step(slope_critic(slope, (3, 8, 8)), count, (3, 8, 8))
    assert term(DRAGAN(), step) == pytest.approx(expected, abs=1e-12)


def test_dragan_looks_at_the_reals_themselves_where_all_numbers_are_one() -> None:
    spy, real = Spy(), torch.full((4, 1, 8, 8), 0.3, dtype=torch.float64)
    term(DRAGAN(), step_of(real, real + 5, spy))
    assert torch.equal(spy.seen, real)


def test_dragan_draws_one_length_per_sample_and_a_direction_per_number() -> None:
    # other libraries draw the length for each number as well
    spy, shape = Spy(), (3, 16, 16)
    step = random_step(spy, 256, shape)
    term(DRAGAN(), step)
    real = step.real.detach()
    moved = ((spy.seen - real) / (0.5 * real.numpy().std())).flatten(1)
    assert 0 <= moved.min() <= moved.max() < 1
    lengths = moved.max(dim=1, keepdim=True).values
    assert distance_from_uniform(lengths) < 0.1
    assert distance_from_uniform(moved / lengths) < 0.01


def test_dragan_equals_a_reference_written_sample_by_sample() -> None:
    critic = MLPDiscriminator(2, 0, width=8, depth=2).double()
    step = random_step(critic, 6, (2,))
    random = random_for(step.real)
    alpha, u = random.uniform(1), random.uniform(2)
    spread = float(np.std(step.real.detach().numpy()))  # of all numbers, biased
    expected = torch.tensor(0.0, dtype=torch.float64)
    for i in range(6):
        point = (step.real[i] + alpha[i] * 0.5 * spread * u[i]).detach().requires_grad_()
        logit = critic(point[None], step.labels[:1])
        (slope,) = torch.autograd.grad(logit, point, create_graph=True)
        expected = expected + ((slope**2).sum() ** 0.5 - 1) ** 2 / 6
    found = DRAGAN().discriminator_term(step)
    assert torch.allclose(found, expected, rtol=1e-12)
    assert same_gradients(found, expected, [p for p in critic.parameters() if p.ndim == 2])


class CountingAdam(torch.optim.Adam):
    """Adam that counts its steps."""

    steps = 0

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        type(self).steps += 1
        return super().step(closure)  # type: ignore[return-value]


@pytest.mark.parametrize("penalty", [DRAGAN(), MaximumPenalty(), R1(difference=0.01)], ids=repr)
def test_no_penalty_takes_an_optimizer_step_of_its_own(penalty: Regularizer) -> None:
    CountingAdam.steps = 0
    gan = points_gan(Wasserstein(), [penalty], discriminator_optimizer=CountingAdam)
    fit(gan, 3)
    assert CountingAdam.steps == gan.progress.discriminator_updates == 3


# ----------------------------------------------------------------------- powers and the maximum


@for_shapes
@for_sizes
def test_wasserstein_divergence_is_a_power_of_the_slope_at_any_batch_size(
    count: int, shape: tuple[int, ...]
) -> None:
    # with the default factor k = 2 and p = 6: k for unit slope, k 2^p for twice that
    penalty = WassersteinDivergence()
    for slope, expected in ((1, 2), (2, 2 * 2**6), (0, 0)):
        found = penalty.weight * term(
            penalty, random_step(slope_critic(slope, shape), count, shape)
        )
        assert found == pytest.approx(expected, rel=1e-12)


@for_sizes
def test_the_maximum_penalty_is_the_squared_slope_where_it_is_one_everywhere(count: int) -> None:
    step = random_step(slope_critic(3, (3, 8, 8)), count, (3, 8, 8))
    assert term(MaximumPenalty(), step) == pytest.approx(9, rel=1e-12)


def test_the_maximum_is_of_the_squared_slopes_and_never_below_their_mean() -> None:
    spy = Spy()
    step = random_step(spy, 32, (2, 3, 3))
    largest = term(MaximumPenalty(), step)
    slopes = np.linalg.norm(spy.seen.flatten(1).numpy(), axis=1)
    assert largest == pytest.approx(np.max(slopes**2), rel=1e-12)
    again = step_of(step.real, step.fake, spy)  # the same random numbers
    mean = term(WassersteinDivergence(power=2), again)
    assert mean == pytest.approx(np.mean(slopes**2), rel=1e-12)
    assert mean < largest


def test_only_the_steepest_point_pays_the_maximum_penalty() -> None:
    weights = torch.randn(5, 3, dtype=torch.float64).requires_grad_()
    step = random_step(lambda samples, _: (samples * weights).sum(1), 5, (3,))
    (gradient,) = torch.autograd.grad(MaximumPenalty().discriminator_term(step), weights)
    steepest = int(np.argmax(np.linalg.norm(weights.detach().numpy(), axis=1)))
    expected = torch.zeros(5, 3, dtype=torch.float64)
    expected[steepest] = 2 * weights.detach()[steepest]
    assert torch.allclose(gradient, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "penalty", [*BETWEEN, DRAGAN(), R1(difference=0.01), R2(difference=0.01)], ids=repr
)
def test_a_flat_critic_has_a_finite_gradient(penalty: Regularizer) -> None:
    weight = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    step = random_step(lambda samples, _: samples @ weight, 4, (2,))
    (gradient,) = torch.autograd.grad(penalty.discriminator_term(step), weight)
    assert gradient.tolist() == [0, 0]


@pytest.mark.parametrize("penalty", BETWEEN, ids=repr)
@pytest.mark.parametrize("fakes", [1, 3])
def test_points_between_need_as_many_fakes_as_reals(penalty: Regularizer, fakes: int) -> None:
    real, fake = torch.randn(4, 2), torch.randn(fakes, 2)
    with pytest.raises(ConfigurationError, match=f"4 reals and {fakes} fakes"):
        penalty.discriminator_term(step_of(real, fake, slope_critic(1, (2,))))


@pytest.mark.parametrize(
    ("penalty", "of_slope"),
    [
        (GradientPenalty(), lambda s: (s - 1) ** 2),
        (DRAGAN(), lambda s: (s - 1) ** 2),
        (WassersteinDivergence(), lambda s: s**6),
        (R1(), lambda s: s**2 / 2),
        (R2(), lambda s: s**2 / 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_slope_of_a_sample_is_that_under_its_own_label(
    penalty: Regularizer, of_slope: Callable[[np.ndarray], np.ndarray]
) -> None:
    weights, labels = torch.randn(3, 2, dtype=torch.float64), torch.tensor([2, 0, 1, 2])
    real, fake = (torch.randn(4, 2, dtype=torch.float64).requires_grad_() for _ in range(2))

    def score(samples: Tensor, labels: Tensor) -> Tensor:
        return (samples * weights[labels]).sum(1)

    step = step_of(real, fake, score, labels=labels)
    slopes = np.linalg.norm(weights[labels].numpy(), axis=1)
    assert term(penalty, step) == pytest.approx(of_slope(slopes).mean(), rel=1e-12)


@pytest.mark.parametrize("penalty", [*BETWEEN, DRAGAN()], ids=repr)
def test_the_samples_of_a_pack_move_by_one_factor(penalty: Regularizer) -> None:
    # a pack is one sample of the packed discriminator, so its points lie on one segment
    spy, shape, pack = Spy(), (3, 16, 16), 3
    real, fake = torch.randn(2, 6 * pack, *shape, dtype=torch.float64)

    def judge(samples: Tensor, labels: Tensor) -> Tensor:
        return spy(samples, labels).view(-1, pack).sum(1)

    discriminator = SimpleNamespace(pack=pack, modules=list)
    term(penalty, step_of(real, fake, judge, discriminator=discriminator))
    if isinstance(penalty, DRAGAN):  # the largest of 768 uniform numbers is nearly one
        factors = (spy.seen - real).flatten(1).max(dim=1).values / (0.5 * real.numpy().std())
    else:
        factors = ((spy.seen - fake) / (real - fake)).flatten(1).median(dim=1).values
    packs = factors.view(-1, pack)
    assert float((packs - packs[:, :1]).abs().max()) < 0.02
    assert float(packs[:, 0].max() - packs[:, 0].min()) > 0.2


# --------------------------------------------------------------------------- finite differences

DIFFERENCES = [1e-3, 1e-2, 1.0, 30.0]


@pytest.mark.parametrize("kind", [R1, R2])
def test_finite_differences_of_a_linear_critic_have_the_exact_mean_at_any_length(
    kind: type[R1 | R2],
) -> None:
    weight = torch.tensor([1.0, -2.0], dtype=torch.float64)
    samples = torch.randn(100_000, 2, dtype=torch.float64)
    found = [
        term(kind(difference=s), step_of(samples, samples + 1, lambda x, _: x @ weight))
        for s in DIFFERENCES
    ]
    assert found == pytest.approx([found[0]] * 4, rel=1e-8)
    assert found[0] == pytest.approx(5 / 2, rel=0.018)  # four standard deviations


@pytest.mark.parametrize("kind", [R1, R2])
@pytest.mark.parametrize("difference", [1e-3, 1e-2])
def test_finite_differences_of_a_smooth_critic_come_within_three_percent(
    kind: type[R1 | R2], difference: float
) -> None:
    inner, outer = torch.randn(2, 16), torch.randn(16)
    real, fake = torch.randn(2, 100_000, 2)

    def score(samples: Tensor, labels: Tensor) -> Tensor:
        return torch.tanh(samples @ inner) @ outer

    exact = term(kind(), step_of(real.requires_grad_(), fake.requires_grad_(), score))
    found = term(kind(difference=difference), step_of(real, fake, score))
    assert found == pytest.approx(exact, rel=0.03)


def test_a_finite_difference_looks_at_reals_or_fakes_with_their_labels() -> None:
    weights, labels = torch.randn(3, 2, dtype=torch.float64), torch.tensor([2, 0, 1, 2])
    real, fake = torch.randn(2, 4, 2, dtype=torch.float64)

    def score(samples: Tensor, labels: Tensor) -> Tensor:
        return (samples * weights[labels]).sum(1) * samples.square().sum(1)

    for kind, place in ((R1, real), (R2, fake)):
        away = 0.1 * random_for(real).normal(2)
        expected = 0.0
        for i in range(4):
            here = score(place[i : i + 1], labels[i : i + 1])
            there = score((place[i] + away[i])[None], labels[i : i + 1])
            expected += float((there - here) / 0.1) ** 2 / 2 / 4
        step = step_of(real, fake, score, labels=labels)
        assert term(kind(difference=0.1), step) == pytest.approx(expected, rel=1e-9)


def test_spectral_norm_is_the_same_at_both_ends_of_a_finite_difference() -> None:
    # Were it one power iteration further at the other end, the two logits would differ by about
    # 1 / difference more.
    layer = nn.Linear(16, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.randn(1, 16))
    deep = nn.Sequential(spectral_norm(nn.Linear(16, 16).double()), layer).train()
    with torch.no_grad():
        deep[0].parametrizations.weight.original.copy_(torch.randn(16, 16))  # far from converged
    samples = 10 * torch.randn(8, 16, dtype=torch.float64)
    before = deep[0].parametrizations.weight[0]._u.clone()
    found = term(R1(difference=1e-4), step_of(samples, samples, lambda x, _: deep(x)[:, 0]))
    assert not torch.equal(before, deep[0].parametrizations.weight[0]._u)
    slope = (layer.weight @ deep.eval()[0].weight)[0].detach().numpy()
    steps = random_for(samples).normal(16).numpy()
    assert found == pytest.approx(np.mean((steps @ slope) ** 2) / 2, rel=1e-6)


def test_a_finite_difference_needs_no_second_derivative() -> None:
    penalty = R1(difference=0.01)
    assert not penalty.differentiates
    assert not penalty.differentiates_twice

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x @ w

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
            return None, gradient @ ctx.saved_tensors[0]

    weight = torch.ones(2, requires_grad=True)
    step = step_of(torch.randn(4, 2), torch.randn(4, 2), lambda x, _: Once.apply(x, weight))
    penalty.discriminator_term(step).backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


# ---------------------------------------------------------- differences: augmentation and shares


def first_step(gan: GAN, real: Tensor) -> Step:
    """What the discriminator's first update sees, the same at every call."""
    labels = torch.zeros(len(real), dtype=torch.long)
    return next(gan.game.steps(gan.game.discriminator, real, labels, Progress()))


@pytest.mark.parametrize(
    "augmentation",
    [InstanceNoise(1.0), DiffAugment(), AdaptiveAugmentation(start=1.0, noise=True, cutout=True)],
    ids=lambda part: type(part).__name__,
)
@pytest.mark.parametrize("kind", [R1, R2])
def test_both_looks_of_a_difference_have_the_same_augmentation(
    kind: type[R1 | R2], augmentation: Augmentation
) -> None:
    penalty = kind(difference=1e-5)
    gan = picture_gan(regularizers=[penalty], augmentation=augmentation).double()
    real = torch.rand(8, 1, 8, 8, dtype=torch.float64) * 2 - 1
    found = penalty.discriminator_term(first_step(gan, real))
    # the slope along the same direction of the critic behind the same draws
    step = first_step(gan, real)
    samples = (step.real if kind is R1 else step.fake).detach().requires_grad_()
    along = step.random.normal(1, 8, 8)
    logits = step.discriminate(samples, step.labels).logits
    (gradient,) = torch.autograd.grad(logits.sum(), samples)
    expected = (gradient * along).sum((1, 2, 3)).square().mean() / 2
    assert float(expected) > 1e-6
    assert float(found.detach()) == pytest.approx(float(expected), rel=1e-3)


def test_differences_train_behind_adaptive_augmentation_in_bfloat16() -> None:
    parts: list[Regularizer] = [R1(0.1, difference=0.01, share=0.25), R2(0.1, difference=0.01)]
    gan = picture_gan(regularizers=parts, augmentation=AdaptiveAugmentation(start=0.5))
    fit(gan, 3, precision="bf16-mixed")
    terms = gan.outputs[0].terms
    assert all(torch.isfinite(terms[name]) and terms[name] > 0 for name in ("R1", "R2"))


def test_a_difference_goes_through_a_compiled_critic_where_the_exact_slope_cannot() -> None:
    network = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
    compiled = torch.compile(network, backend="aot_eager")
    real = torch.randn(4, 2, requires_grad=True)
    step = step_of(real, real.detach(), lambda samples, _: compiled(samples)[:, 0])
    R1(difference=0.01).discriminator_term(step).backward()
    assert float(network[0].weight.grad.abs().sum()) > 0  # type: ignore[union-attr]
    with pytest.raises(RuntimeError, match="double backward"):
        R1().discriminator_term(step).backward()


@pytest.mark.parametrize(("pack", "share", "chosen"), [(1, 0.25, [0, 4, 8]), (2, 0.5, [0, 2, 4])])
def test_a_share_is_of_the_global_batch_and_of_whole_packs(
    pack: int, share: float, chosen: list[int]
) -> None:
    samples = torch.randn(12, 2, dtype=torch.float64)
    seen: list[int] = []

    def score(rows: Tensor, labels: Tensor) -> Tensor:
        seen.append(len(rows))
        return rows.square().sum(1).view(-1, pack).sum(1)

    def value(first: int, count: int) -> float:
        rows = samples[first : first + count]
        random = Seeds(0).stream("test", 0, Shard(12, first, count), like=samples)
        judge = SimpleNamespace(pack=pack, modules=list)
        step = step_of(rows, rows, score, reads=(), random=random, discriminator=judge)
        return term(R1(difference=0.1, share=share), step)

    away = 0.1 * random_for(samples).normal(2)
    changes = ((samples + away).square().sum(1) - samples.square().sum(1)).view(-1, pack).sum(1)
    expected = float((changes[chosen] / 0.1).square().mean()) / 2
    assert value(0, 12) == pytest.approx(expected, rel=1e-9)
    assert seen == [2 * pack * len(chosen)]
    # three processes with four rows each, or two with six
    for count in (4, 6):
        parts = [value(first, count) for first in range(0, 12, count)]
        assert np.mean(parts) == pytest.approx(expected, rel=1e-9)


class Line(Discriminator):
    """Judges packs by one direction, of which half the squared length is the exact penalty."""

    def __init__(self, pack: int) -> None:
        super().__init__(2, 0)
        self.pack = pack
        self.layers = nn.Identity()
        self.add_head(2 * pack)

    def features(self, samples: Tensor) -> Tensor:
        return samples.reshape(-1, 2 * self.pack)


@pytest.mark.parametrize(
    ("pack", "share", "accumulate", "size"),
    [(1, 1 / 16, 8, 64), (1, 1 / 4, 2, 6), (2, 1 / 3, 2, 16), (2, 1 / 2, 3, 12), (1, 1 / 2, 3, 8)],
)
def test_pieces_take_as_many_differences_as_the_batch(
    pack: int, share: float, accumulate: int, size: int
) -> None:
    penalty = R1(difference=0.01, share=share)
    gan = points_gan(None, [penalty], discriminator=Line(pack), accumulate=accumulate).double()
    exact = float(cast(nn.Linear, gan.discriminator.head).weight.detach().square().sum()) / 2
    real, labels = torch.randn(size, 2).double(), torch.zeros(size, dtype=torch.long)
    player, found = gan.game.discriminator, 0.0
    for update in range(300):
        for step in gan.game.steps(player, real, labels, Progress(discriminator_updates=update)):
            _, output = gan.game.loss(step, player.due(update))
            found += float(output.terms["R1"]) * len(step.real) / size / 300
    assert found == pytest.approx(exact, rel=0.25)


def test_a_share_is_of_whole_groups_of_minibatch_std() -> None:
    torch.manual_seed(0)
    size: dict[str, Any] = {"channels": 1, "image_size": 8, "width": 8, "max_width": 16}
    judge = StyleGAN2Discriminator(**size, minibatch_std=4)
    gan = GAN(StyleGAN2Generator(**size), judge, NonSaturating(), seed=1).double()
    real, labels = torch.randn(24, 1, 8, 8).double(), torch.zeros(24, dtype=torch.long)
    (step,) = gan.game.steps(gan.game.discriminator, real, labels, Progress())
    values = [term(R1(difference=0.001, share=share), step) for share in (1.0, 0.5, 0.25)]
    assert max(values) < 5 * min(values), "no distance between other neighbours over s"


@pytest.mark.parametrize(("rows", "fits"), [(4, True), (3, False), (1, False)])
def test_a_share_that_processes_would_not_take_alike_is_refused_where_they_wait_for_each_other(
    rows: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = MLPDiscriminator(2, 0, width=8, depth=2)
    across = MinibatchDiscrimination(MLPDiscriminator(2, 0, width=8, depth=2), kernels=3, dims=2)
    share = R1(difference=0.01, share=0.5)
    gan = points_gan(Hinge(), [share], discriminator=across)
    data = SimpleNamespace(batch_size=rows)
    gan.game.parts.check_run(data, "32-true")  # alone there is nobody to wait for
    monkeypatch.setattr(processes, "world_size", lambda: 2)
    assert not [*unequal_shares(inner, share, rows)]
    assert not [*unequal_shares(across, R1(difference=0.01), rows)]
    if fits:
        gan.game.parts.check_run(data, "32-true")
    else:
        with pytest.raises(ConfigurationError, match=r"R1 the same share=0\.5 .* a multiple of 2"):
            gan.game.parts.check_run(data, "32-true")
