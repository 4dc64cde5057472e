"""A run goes on as the run that it is; another one is refused, or takes over its changes."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import Checkpoint
from tiny import Points, points_gan, quiet_trainer

from lightning_gan import GAN, GANAdam, callbacks
from lightning_gan.basics.plain import flat
from lightning_gan.callbacks.alarms import Health
from lightning_gan.callbacks.collapse import Kept
from lightning_gan.errors import AnotherRunError, WeightsError
from lightning_gan.objectives import Hinge
from lightning_gan.regularizers import R1, R2, Drift
from lightning_gan.training.schedule import LinearCurve


class Shifted(Points):
    """The same points, whose classes have other labels."""

    class_names = ("b", "c", "a")


def a_gan(**arguments: Any) -> GAN:
    return points_gan(**{"regularizers": [R1(0.1)], "max_images": 32} | arguments)


def trained(folder: Path) -> Path:
    trainer = quiet_trainer(folder)
    trainer.fit(a_gan(), Points(8))
    path = folder / "a.ckpt"
    trainer.save_checkpoint(path)
    return path


def resume(path: Path, gan: GAN, data: Points | None = None, **options: Any) -> GAN:
    quiet_trainer(path.parent, **options).fit(
        gan, data or Points(8), ckpt_path=path, weights_only=True
    )
    return gan


OTHERS: dict[str, tuple[Callable[[], GAN], str]] = {
    "objective": (
        lambda: a_gan(objective=Hinge()),
        "model.objective is NonSaturating there and Hi",
    ),
    "penalty": (
        lambda: a_gan(regularizers=[R1(0.2)]),
        "model.regularizers.R1.weight is 0.1 there and 0.2 here",
    ),
    "more": (
        lambda: a_gan(regularizers=[R1(0.1), Drift()]),
        "model.regularizers is R1 there and R1 Drift here",
    ),
    "rate": (
        lambda: a_gan(generator_optimizer=lambda p: GANAdam(p, lr=0.1)),
        "model.generator_optimizer.lr is 0.0002 there and 0.1 here",
    ),
    "optimizer": (
        lambda: a_gan(discriminator_optimizer=lambda p: torch.optim.SGD(p, lr=0.1)),
        "model.discriminator_optimizer is GANAdam there and SGD here",
    ),
    "seed": (lambda: a_gan(seed=1), "model.seed is 0 there and 1 here"),
    "average": (lambda: a_gan(ema_half_life=1), "model.ema_half_life is 10000 there and 1 here"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_that_is_another_one_is_refused_by_its_difference(
    name: str, tmp_path: Path
) -> None:
    make, difference = OTHERS[name]
    with pytest.raises(AnotherRunError) as error:
        resume(trained(tmp_path), make())
    assert difference in str(error.value)
    assert "--resume.allow_changes true" in str(error.value)


def test_all_that_may_differ_goes_on_without_a_word(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    gan = a_gan(max_images=64, accumulate=2, channels_last=True, validate_every=32)
    assert resume(trained(tmp_path), gan).progress.images == 64
    assert gan.changes == {}
    assert not [w for w in recwarn if "checkpoint" in str(w.message)]


def test_other_data_another_batch_and_precision_are_refused(tmp_path: Path) -> None:
    path = trained(tmp_path)
    with pytest.raises(AnotherRunError, match="global_batch_size is 8 there and 16 here"):
        resume(path, a_gan(), Points(16))
    with pytest.raises(AnotherRunError, match=r"class_names is \['a', 'b', 'c'\] there and \['b'"):
        resume(path, a_gan(), Shifted(8))
    with pytest.raises(AnotherRunError, match=r"data\.seed is 0 there and 5 here"):
        resume(path, a_gan(), Points(8, seed=5))
    with pytest.raises(AnotherRunError, match="precision is 32-true there and bf16-mixed here"):
        resume(path, a_gan(), precision="bf16-mixed")


def test_measuring_beside_other_data_is_said(tmp_path: Path) -> None:
    path = trained(tmp_path)
    for data, words in ((Points(8), None), (Points(4, seed=5), None), (Shifted(8), "Points there")):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            quiet_trainer(tmp_path).test(a_gan(), data, ckpt_path=path, weights_only=True)
        found = [str(one.message) for one in said if "other data" in str(one.message)]
        assert len(found) == (words is not None)
        assert all(f"data is {words}" in one and "held out of them" in one for one in found)


def test_many_differences_are_counted_after_the_first(tmp_path: Path) -> None:
    gan = a_gan(objective=Hinge(), seed=1, ema_half_life=1, gradient_clip=2.0)
    with pytest.raises(AnotherRunError, match=r"\(and 1 more\)"):
        resume(trained(tmp_path), gan)


def test_a_change_of_rate_applies_and_the_averages_stay(tmp_path: Path) -> None:
    path = trained(tmp_path)
    gan = a_gan(generator_optimizer=lambda p: GANAdam(p, lr=0.123, betas=(0.3, 0.9)))
    gan.allow_changes = True
    steps = []

    class Look(Checkpoint):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            (group,) = gan.optimizer_of("generator").param_groups
            state = next(iter(gan.optimizer_of("generator").state.values()))
            steps.append((group["lr"], group["initial_lr"], group["betas"], float(state["step"])))

    trainer = quiet_trainer(tmp_path)
    trainer.callbacks.append(Look())  # type: ignore[attr-defined]
    trainer.fit(gan, Points(8), ckpt_path=path, weights_only=True)
    assert steps == [(0.123, 0.123, (0.3, 0.9), 4.0)]
    assert gan.changes == {
        "model.generator_optimizer.lr": [0.0002, 0.123],
        "model.generator_optimizer.betas": [[0.5, 0.999], [0.3, 0.9]],
    }


def test_another_optimizer_begins_anew_where_that_is_allowed(tmp_path: Path) -> None:
    path = trained(tmp_path)
    gan = a_gan(
        max_images=64, discriminator_optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5)
    )
    gan.allow_changes = True
    resume(path, gan)
    assert gan.progress.images == 64
    assert gan.optimizer_of("discriminator").param_groups[0]["momentum"] == 0.5


def test_a_change_that_was_taken_over_is_the_run_from_then_on(tmp_path: Path) -> None:
    gan = a_gan(objective=Hinge(), max_images=64)
    gan.allow_changes = True
    trainer = quiet_trainer(tmp_path)
    trainer.fit(gan, Points(8), ckpt_path=trained(tmp_path), weights_only=True)
    trainer.save_checkpoint(tmp_path / "b.ckpt")
    assert resume(tmp_path / "b.ckpt", a_gan(objective=Hinge(), max_images=96)).changes == {}


def test_names_of_classes_are_those_of_the_data_that_it_trained_on_last(tmp_path: Path) -> None:
    path, gan = trained(tmp_path), a_gan(max_images=64)
    assert GAN.load_from_checkpoint(path).class_names == ("a", "b", "c")
    with pytest.warns(UserWarning, match="data.class_names is"):
        quiet_trainer(tmp_path).test(gan, Shifted(8), ckpt_path=path, weights_only=True)
    assert gan.class_names == ("a", "b", "c")
    gan.allow_changes = True
    assert resume(path, gan, Shifted(8)).class_names == ("b", "c", "a")


def test_other_versions_and_threads_are_warned_of(tmp_path: Path) -> None:
    path = trained(tmp_path)
    content = torch.load(path, weights_only=True)
    content["lightning_gan"]["environment"]["versions"]["torch"] = "1.0"
    torch.save(content, path)
    with pytest.warns(UserWarning, match=r"made with versions.torch 1.0, now .*bit for bit"):
        resume(path, a_gan(max_images=64))


def test_a_checkpoint_of_before_settings_were_recorded_goes_on(tmp_path: Path) -> None:
    path = trained(tmp_path)
    content = torch.load(path, weights_only=True)
    for name in ("setting", "environment", "images_validated"):
        del content["lightning_gan"][name]
    torch.save(content, path)
    assert resume(path, a_gan(max_images=64), Points(16)).progress.images == 64


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no callbacks": (lambda c: c.pop("callbacks"), "its callbacks are missing"),
    "one optimizer": (lambda c: c["optimizer_states"].pop(), "optimizer of the generator"),
    "no averages": (
        lambda c: c["optimizer_states"][0]["state"].clear(),
        "optimizer of the discriminator",
    ),
    "one average": (
        lambda c: c["optimizer_states"][1]["state"].popitem(),
        "optimizer of the generator",
    ),
    "NaN": (
        lambda c: c["optimizer_states"][1]["state"][0]["exp_avg"].fill_(torch.nan),
        "optimizer of the generator",
    ),
    "NaN weights": (
        lambda c: c["state_dict"]["generator.layers.0.weight"].fill_(torch.nan),
        "generator.layers.0.weight",
    ),
    "NaN rate": (
        lambda c: c["optimizer_states"][0]["param_groups"][0].update(lr=torch.nan),
        "optimizer of the discriminator",
    ),
    "NaN images": (
        lambda c: c["lightning_gan"]["progress"].update(images=torch.nan),
        "its progress is damaged",
    ),
    "images without end": (
        lambda c: c["lightning_gan"]["progress"].update(images=-(10**30)),
        "its progress is damaged",
    ),
    "NaN images validated": (
        lambda c: c["lightning_gan"].update(images_validated=torch.nan),
        "its progress is damaged",
    ),
    "NaN batches": (
        lambda c: c["loops"]["fit_loop"]["epoch_loop.batch_progress"]["total"].update(
            ready=torch.nan
        ),
        "epoch_loop.batch_progress.total.ready in the checkpoint is not finite",
    ),
    "batches in words": (
        lambda c: c["loops"]["fit_loop"]["epoch_progress"]["current"].update(completed="two"),
        "epoch_progress.current.completed in the checkpoint is no count",
    ),
}


STATES: dict[str, dict[str, Any]] = {
    "EquilibriumStopping": {"streak": torch.nan},
    "CollapseGuard": {
        "rollbacks": 0,
        "best": {"frechet": torch.inf},
        "streaks": {},
        "healthy": None,
        "pending": "",
    },
    "Evaluation": {"best": {"extractor": "a", "value": torch.nan, "images": 8}},
}


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_would_steer_by_nan_is_refused(name: str) -> None:
    callback = getattr(callbacks, name)()
    with pytest.raises(WeightsError, match=rf"{name}\..* in the checkpoint is not finite"):
        callback.load_state_dict(STATES[name])


def test_what_was_not_measured_is_none_in_the_state_of_the_guard() -> None:
    health = Health("a", frechet=torch.nan, coverage=torch.nan, modes=3, num_modes=4)
    assert health.finite() == Health("a", modes=3, num_modes=4)
    guard, again = callbacks.CollapseGuard(), callbacks.CollapseGuard()
    guard._kept = Kept("modes", -3, health.finite(), 8)
    again.load_state_dict(guard.state_dict())
    assert again.state_dict() == guard.state_dict()
    # as earlier versions wrote what has no number of samples
    state = guard.state_dict()
    state["best"]["n"] = torch.inf
    again.load_state_dict(state)
    assert again.state_dict() == guard.state_dict()


@pytest.mark.parametrize("name", DAMAGES)
def test_a_checkpoint_that_is_not_whole_is_refused(name: str, tmp_path: Path) -> None:
    damage, said = DAMAGES[name]
    path = trained(tmp_path)
    content = torch.load(path, weights_only=True)
    damage(content)
    torch.save(content, path)
    with pytest.raises(WeightsError, match=said):
        resume(path, a_gan(max_images=64))


def test_a_description_is_told_by_dotted_names() -> None:
    gan = a_gan(regularizers=[R1(0.1), R2(0.2)])
    found = flat({"model": dict(gan.hparams)})
    assert found["model.objective"] == "NonSaturating"
    assert found["model.regularizers"] == "R1 R2"
    assert found["model.regularizers.R2.weight"] == 0.2
    assert found["model.generator.latent_dim"] == gan.generator.latent_dim
    assert found["model.augmentation"] is None


@pytest.mark.parametrize(
    "changed", [{"learning_rate": None}, {"regularizers": [R1(0.1)]}], ids=["curve", "laziness"]
)
def test_rates_that_a_change_leaves_to_themselves_are_what_they_would_be(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    before = {"learning_rate": LinearCurve(1, 0, 32), "regularizers": [R1(0.1, every=16)]}
    trainer = quiet_trainer(tmp_path)
    trainer.fit(a_gan(**before), Points(8))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    gan = a_gan(max_images=40, **(before | changed))
    gan.allow_changes = True
    resume(tmp_path / "a.ckpt", gan)
    fresh = a_gan(max_images=8, **(before | changed))
    quiet_trainer(tmp_path).fit(fresh, Points(8))
    for player in ("discriminator", "generator"):
        (ours,), (theirs,) = (g.optimizer_of(player).param_groups for g in (gan, fresh))
        for name in ("lr", "betas") if "learning_rate" in changed else ("initial_lr", "betas"):
            assert ours[name] == theirs[name], (player, name)


@pytest.mark.parametrize("recover", [True, False])
def test_a_run_that_goes_on_may_be_told_to_recover(recover: bool, tmp_path: Path) -> None:
    trainer = quiet_trainer(tmp_path, callbacks=[callbacks.CollapseGuard(recover=not recover)])
    trainer.fit(a_gan(), Points(8))
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    guard = callbacks.CollapseGuard(recover=recover)
    assert resume(tmp_path / "a.ckpt", a_gan(max_images=40), callbacks=[guard]).changes == {}
