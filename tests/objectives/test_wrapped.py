"""TopK around another objective: the generator learns from its best samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import (
    Points,
    logit_gradients,
    points_gan,
    quiet_trainer,
    random_logits,
    scored,
    step_of,
    weights,
)
from torch import Tensor

from lightning_gan.callbacks import LastCheckpoint
from lightning_gan.distributed import processes
from lightning_gan.errors import ConfigurationError
from lightning_gan.gan import GAN
from lightning_gan.networks import Discriminator, Generator, MLPDiscriminator, Packed
from lightning_gan.objectives import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
    TopK,
    Unrolled,
    Wasserstein,
)
from lightning_gan.training.schedule import Curve, DecayCurve, LinearCurve
from lightning_gan.training.step import Step

SINGLE: list[type[Objective]] = [Minimax, NonSaturating, LeastSquares, Wasserstein, Hinge]
for_every_inner = pytest.mark.parametrize("kind", SINGLE)
for_both_wrappers = pytest.mark.parametrize("wrapper", [TopK, Unrolled])


@for_every_inner
def test_a_share_of_one_is_the_plain_loss_bit_for_bit(kind: type[Objective]) -> None:
    for count in (3, 7, 16):
        r, f = random_logits(count)
        one, other = TopK(kind(), share=1), kind()
        assert torch.equal(one.generator_loss(scored(r, f)), other.generator_loss(scored(r, f)))
        pairs = zip(
            logit_gradients(one, r, f, "generator"),
            logit_gradients(other, r, f, "generator"),
            strict=True,
        )
        assert all(torch.equal(a, b) for a, b in pairs)
        assert not one.looks_across


@for_every_inner
@pytest.mark.parametrize("fakes", [[-1.0, 3.0, 0.0, 2.0], [1.0, 3.0, 3.0, 3.0]])
def test_one_sample_keeps_the_gradient_of_the_best_fake_alone(
    kind: type[Objective], fakes: list[float]
) -> None:
    # of equal ones the first
    f = torch.tensor(fakes, dtype=torch.float64)
    found = logit_gradients(TopK(kind(), share=0.01), f, f, "generator")[1]
    best = f[1:2]
    alone = logit_gradients(kind(), best, best, "generator")[1]
    assert found.tolist() == [0, alone.item(), 0, 0]
    assert found[1] != 0


@for_every_inner
@pytest.mark.parametrize(("share", "k"), [(0.125, 2), (0.5, 8), (0.8, 13), (0.9375, 15)])
def test_the_loss_is_the_mean_over_the_k_best(kind: type[Objective], share: float, k: int) -> None:
    r, f = (values.detach() for values in random_logits())
    ranks = sorted(range(16), key=lambda i: float(f[i]), reverse=True)
    single = [float(kind().generator_loss(scored(r[i : i + 1], f[i : i + 1]))) for i in ranks[:k]]
    wrapped = TopK(kind(), share)
    assert float(wrapped.generator_loss(scored(r, f))) == pytest.approx(np.mean(single), rel=1e-12)
    gradient = logit_gradients(wrapped, r, f, "generator")[1]
    assert {i for i in range(16) if gradient[i] != 0} <= set(ranks[:k])


@for_every_inner
def test_the_discriminator_learns_from_all(kind: type[Objective]) -> None:
    r, f = random_logits()
    one, other = (o.discriminator_loss(scored(r, f)) for o in (TopK(kind(), 0.1), kind()))
    assert torch.equal(one, other)


@pytest.mark.parametrize(("images", "k"), [(0, 16), (49, 16), (50, 12), (120, 9), (150, 8)])
def test_k_falls_with_the_images_seen_down_to_its_end(images: int, k: int) -> None:
    wrapped = TopK(Wasserstein(), share=DecayCurve(0.75, images=50, end=0.5))
    r, f = random_logits()
    step = scored(r, f, images=images)
    (gradient,) = torch.autograd.grad(wrapped.generator_loss(step), f)
    assert sorted(gradient.tolist()) == pytest.approx([-1 / k] * k + [0] * (16 - k))


@pytest.mark.parametrize("share", [LinearCurve(3, 3, 1), LinearCurve(-1, -1, 1)], ids=repr)
def test_a_curve_out_of_range_takes_all_or_one(share: Curve) -> None:
    r, f = random_logits(4)
    gradient = logit_gradients(TopK(Wasserstein(), share), r, f, "generator")[1]
    everything = share(0) > 1
    assert sorted(gradient.tolist()) == ([-0.25] * 4 if everything else [-1, 0, 0, 0])


class OnRank:
    """Lets this process play one of two that have the two halves of some logits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, whole: Tensor) -> None:
        self.patch, self.whole = monkeypatch, whole

    def step(self, rank: int, r: Tensor, f: Tensor) -> Step:
        def own_rows(rows: Tensor) -> Any:
            return rows.chunk(2)[rank]

        self.patch.setattr(processes, "gather", lambda rows: self.whole.detach())
        self.patch.setattr(processes, "own_rows", own_rows)
        return scored(r.chunk(2)[rank], f.chunk(2)[rank])


@for_every_inner
@pytest.mark.parametrize("where", ["anywhere", "first", "second"])
def test_processes_share_the_best_of_all(
    kind: type[Objective], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # also where one of them has none of the best
    r, f = random_logits(8)
    if where != "anywhere":
        f = f.detach().sort(descending=where == "first").values.requires_grad_()
    wrapped = TopK(kind(), share=0.5)
    loss = wrapped.generator_loss(scored(r, f))
    (expected,) = torch.autograd.grad(loss, f)
    play, losses = OnRank(monkeypatch, f), []
    for rank in range(2):
        losses.append(wrapped.generator_loss(play.step(rank, r, f)))
    mean = torch.stack(losses).mean()
    assert torch.allclose(mean, loss, rtol=1e-12)
    (found,) = torch.autograd.grad(mean, f)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert torch.count_nonzero(expected) >= 1


def test_the_best_of_packs_are_whole_packs() -> None:
    torch.manual_seed(0)
    judge = Packed(MLPDiscriminator(4, 0, width=4, depth=1), pack=2).double()
    real, fake = (torch.randn(6, 2, dtype=torch.float64) for _ in range(2))
    fake.requires_grad_()
    step = step_of(real, fake, judge.output)
    (gradient,) = torch.autograd.grad(TopK(Hinge(), share=0.3).generator_loss(step), fake)
    best = int(step.fake_logits.argmax())
    learns = gradient.any(dim=1).tolist()
    assert learns == [place // 2 == best for place in range(6)]


def test_k_goes_on_where_a_checkpoint_left_it(tmp_path: Path) -> None:
    # excludes its being compared instead of set, and its being lost on resume, of StudioGAN
    shares: list[float] = []

    class Noted(DecayCurve):
        def __call__(self, images: int) -> float:
            shares.append(super().__call__(images))
            return shares[-1]

    def train(folder: str, batches: int, resume: bool = False) -> GAN:
        gan = points_gan(TopK(NonSaturating(), share=Noted(0.8, images=8, end=0.25)))
        gan.max_images = 8 * batches
        path = tmp_path / folder / "checkpoints" / "last.ckpt" if resume else None
        trainer = quiet_trainer(tmp_path / folder, callbacks=[LastCheckpoint()])
        trainer.fit(gan, Points(8), ckpt_path=path, weights_only=True)
        return gan

    straight = weights(train("straight", 6))
    expected, shares[:] = list(shares), []
    train("stopped", 3)
    resumed = weights(train("stopped", 6, resume=True))
    assert shares == expected == pytest.approx([0.8**n for n in range(6)])
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


@for_both_wrappers
def test_a_wrapper_says_of_itself_what_holds_inside(wrapper: type[Any]) -> None:
    for inner in (NonSaturating(0.8), LeastSquares(), Wasserstein(), Hinge()):
        around = wrapper(inner)
        for flag in ("needs_lipschitz", "unbounded", "relative", "has_sign", "paired"):
            assert getattr(around, flag) == getattr(inner, flag), flag
        r, f = (values.detach() for values in random_logits())
        found, expected = around.probability(r, f), inner.probability(r, f)
        assert (found is None) == (expected is None)
        pairs = zip(found or (), expected or (), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
        loss, plain = (o.discriminator_loss(scored(r, f)) for o in (around, inner))
        assert torch.equal(loss, plain)
        assert around.looks_across


@for_both_wrappers
def test_a_wrapper_lets_what_is_inside_attach_and_observe(wrapper: type[Any]) -> None:
    seen: list[Any] = []

    class Watched(NonSaturating):
        def attach(self, generator: Generator, discriminator: Discriminator) -> None:
            seen.append(("attached", generator, discriminator))

        def observe(self, real_logits: Tensor, fake_logits: Tensor) -> None:
            seen.append((real_logits.tolist(), fake_logits.tolist()))

    gan = points_gan(wrapper(Watched()))
    gan.objective.observe(torch.ones(1), torch.zeros(1))  # type: ignore[operator]
    assert seen == [("attached", gan.generator, gan.discriminator), ([1], [0])]


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ConfigurationError, match="must be above 0 and at most 1"):
        TopK(NonSaturating(), share)
