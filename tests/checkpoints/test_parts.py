"""Parts remember how they were built."""

from __future__ import annotations

import copy
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import network_of
from tiny import Points, points_gan

import lightning_gan
from lightning_gan.augment import Augmentations, DiffAugment, InstanceNoise
from lightning_gan.basics.classes import subclasses
from lightning_gan.checkpoints.parts import Part, build, describe, own_arguments
from lightning_gan.errors import ConfigurationError, WeightsError
from lightning_gan.gan import GAN
from lightning_gan.networks import (
    DCGANDiscriminator,
    Discriminator,
    Generator,
    MLPDiscriminator,
    MLPGenerator,
    R3GANDiscriminator,
)
from lightning_gan.objectives import LeastSquares, Minimax, NonSaturating, TopK, Unrolled
from lightning_gan.regularizers import R1, R2, GradientPenalty, InfoGAN, WeightClipping
from lightning_gan.training.latents import CodePrior
from lightning_gan.training.schedule import (
    CosineCurve,
    Curve,
    DecayCurve,
    LinearCurve,
    PerBatch,
    Phases,
)

EXAMPLES: list[Part] = [
    Minimax(0.9),
    NonSaturating(real_label=0.8),
    LeastSquares(-1, 1, 0),
    GradientPenalty(LinearCurve(1, 0, 100), one_sided=True),
    R1(0.1, every=4),
    R2(CosineCurve(2.0, 1.0, images=10, delay=3)),
    TopK(LeastSquares(), share=DecayCurve(0.99, 1000, end=0.5)),
    Unrolled(NonSaturating(0.9), steps=3),
    InfoGAN(continuous_weight=LinearCurve(0.1, 0, 10)),
    CodePrior((3, 4), 1),
    WeightClipping(0.02),
    PerBatch(5),
    Phases(2, 3),
    InstanceNoise(LinearCurve(0.1, 0, 1000)),
    Augmentations([DiffAugment(), InstanceNoise(0.2)]),
    LinearCurve(1, 0, 10),
    CosineCurve(1, 0, 10),
    DecayCurve(0.9, 10),
    MLPGenerator(2, 0, depth=1),
    MLPDiscriminator(1, 8, width=4),
    DCGANDiscriminator(1, 8, width=4, batch_norm=False, spectral_norm=True, num_classes=2),
    R3GANDiscriminator(1, 8, widths=[8, 4], group_size=4, num_classes=2),
    MLPGenerator(1, (8, 12), depth=1),
]
"""Parts with arguments that are not the default ones; of all others the default is taken."""


def concrete_parts() -> list[type[Part]]:
    """All parts of the library that can be built."""
    own = (part for part in subclasses(Part) if part.__module__.startswith("lightning_gan."))
    buildable = (part for part in own if not part.is_base and part is not GAN)
    return [part for part in buildable if not part.__name__.startswith("_")]


def default_of(kind: type[Part]) -> Part:
    """A part with as few arguments as will do."""
    if issubclass(kind, (Generator, Discriminator)):
        return network_of(kind, 1)
    return kind()


BY_EXAMPLE = {type(example) for example in EXAMPLES}
EXAMPLES += [default_of(kind) for kind in concrete_parts() if kind not in BY_EXAMPLE]


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and is_plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


@pytest.mark.parametrize("part", EXAMPLES, ids=lambda part: type(part).__name__)
def test_a_part_can_be_built_again_from_its_description(part: Part) -> None:
    description = describe(part)
    assert is_plain(description)
    again = build(description)
    assert type(again) is type(part)
    assert describe(again) == description
    if isinstance(part, torch.nn.Module):
        again.load_state_dict(part.state_dict())


def test_defaults_are_part_of_the_description() -> None:
    arguments = {"weight": 1.0, "every": 1, "difference": None, "share": 1.0}
    assert describe(R1())["init_args"] == arguments


def test_a_part_shows_how_it_was_built() -> None:
    shown = "PerBatch(discriminator_updates=5, generator_updates=1, fresh_reals=False)"
    assert repr(PerBatch(5)) == shown


def test_lists_and_nothing_are_described_too() -> None:
    description = describe([R1(), None])
    r1, nothing = build(description)
    assert isinstance(r1, R1)
    assert nothing is None


def test_a_subclass_is_described_by_its_own_arguments() -> None:
    class Slow(LinearCurve):
        def __init__(self, length: int) -> None:
            super().__init__(1.0, 0.0, images=length)

    assert own_arguments(Slow(7)) == {"length": 7}
    assert build(describe(Slow(7)))(7) == 0


def test_a_subclass_that_passes_keywords_on_can_be_built_again() -> None:
    class Wide(MLPGenerator):
        def __init__(self, factor: int = 2, **arguments: Any) -> None:
            super().__init__(width=4 * factor, **arguments)

    part = Wide(channels=2, image_size=0, depth=1)
    assert own_arguments(part) == {"factor": 2, "channels": 2, "image_size": 0, "depth": 1}
    assert describe(build(describe(part))) == describe(part)


def test_a_subclass_without_init_is_described_by_its_parents_arguments() -> None:
    class Other(R1):
        pass

    arguments = {"weight": 0.5, "every": 1, "difference": None, "share": 1.0}
    assert own_arguments(Other(0.5)) == arguments
    assert type(build(describe(Other(0.5)))) is Other


@pytest.mark.parametrize("path", ["os.system", "torch.nn.Linear", "subprocess.Popen", "nowhere.X"])
def test_only_known_parts_are_built(path: str) -> None:
    with pytest.raises(WeightsError, match="import its module first"):
        build({"class_path": path, "init_args": {"command": "echo"}})


def test_subclasses_finds_every_depth() -> None:
    assert {LinearCurve, CosineCurve} <= set(subclasses(Curve))
    assert {Generator, MLPGenerator} <= set(subclasses(Part))


@pytest.mark.parametrize("number", [np.int64(5), np.float32(5), torch.tensor(5), np.bool_(1)])
def test_numbers_of_numpy_and_torch_become_plain(number: Any) -> None:
    found = describe(number)
    assert found == number
    assert type(found) in (int, float, bool)
    assert describe(PerBatch(np.int64(5))) == describe(PerBatch(5))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "function"),
    [("learning_rate", lambda images: 0.5), ("ema_half_life", lambda images: images / 2)],
)
def test_a_function_in_the_place_of_a_curve_is_refused(name: str, function: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is a function, which no checkpoint can"):
        points_gan(**{name: function})


def test_a_subclass_of_phases_may_have_arguments_of_its_own() -> None:
    class Named(Phases):
        def __init__(self, warm: int, what: str) -> None:
            super().__init__(2, 1)

    assert Named(0, "text").discriminator_epochs == 2


@dataclass
class Warm(Curve):
    """A part whose ``__init__`` is made after the class."""

    start: float = 0.1

    def __call__(self, images: int) -> float:
        return self.start


class Scale:
    """Defines ``__init__`` for whatever it is mixed into."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale


class Scaled(Scale, NonSaturating):
    """A part whose ``__init__`` is of a class that is no part."""


def test_it_does_not_matter_who_defines_init() -> None:
    for part, name in ((Warm(0.5), "start"), (Scaled(scale=3.0), "scale")):
        again = build(describe(part))
        assert type(again) is type(part)
        assert getattr(again, name) == getattr(part, name) != getattr(type(part)(), name)
        assert own_arguments(copy.deepcopy(part)) == own_arguments(part)


class Options(NonSaturating):
    """Takes anything."""

    def __init__(self, options: Any = None, **more: Any) -> None:
        super().__init__()
        self.options, self.more = options, more


def test_dictionaries_are_arguments_like_others() -> None:
    given = {"a": 1, "curve": LinearCurve(1, 0, 10), "list": [{"b": None}]}
    again = build(describe(Options(given, given={"c": 2.0})))
    assert again.options["a"] == 1
    assert again.options["curve"](5) == 0.5
    assert again.options["list"] == [{"b": None}]
    assert again.more == {"given": {"c": 2.0}}


@pytest.mark.parametrize("value", [torch.ones(2), {1, 2}, {1: 2}, torch.float16, object()])
def test_what_no_checkpoint_can_hold_is_refused_before_training(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"options is a .*, which no checkpoint can hold"):
        points_gan(Options(value))


class Widths(MLPDiscriminator):
    """Takes as many numbers as there are layers."""

    def __init__(self, *widths: int) -> None:
        super().__init__(2, 0, width=widths[0] if widths else 8)


def test_arguments_without_a_name_are_refused_before_training() -> None:
    points_gan(discriminator=Widths())
    with pytest.raises(ConfigurationError, match=r"widths goes by its place alone.*widths=\.\.\."):
        points_gan(discriminator=Widths(4))


def test_of_a_class_that_was_defined_again_the_newest_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    notebook = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", notebook)
    cell = "class Own(Base):\n    times = {}\n"
    notebook.Base = NonSaturating  # type: ignore[attr-defined]
    kept = []
    for times in (1, 100):
        exec(cell.format(times), notebook.__dict__)
        kept.append(notebook.Own)  # type: ignore[attr-defined]
    assert build(describe(kept[0]())).times == 100


def test_a_model_can_be_pickled() -> None:
    gan = points_gan()
    again = pickle.loads(pickle.dumps(gan))
    assert torch.equal(again.sample(3), gan.sample(3))


class Small(GAN):
    """One that chooses its parts by itself."""

    def __init__(self, maps: int = 4) -> None:
        networks = MLPGenerator(2, 0, width=maps), MLPDiscriminator(2, 0, width=maps)
        super().__init__(*networks, NonSaturating(), max_images=32)


def test_a_gan_with_arguments_of_its_own_goes_on_and_is_loaded_by_its_class(tmp_path: Path) -> None:
    quiet = {"accelerator": "cpu", "enable_progress_bar": False, "limit_val_batches": 0}
    lightning_gan.fit(Small(8), Points(8), tmp_path, **quiet)
    again = Small(8)
    again.max_images = 64
    lightning_gan.fit(again, Points(8), tmp_path, "last", **quiet)
    assert again.progress.images == 64
    run = tmp_path / "version_0"
    assert Small.load_from_checkpoint(run).hparams["maps"] == 8
    with pytest.raises(WeightsError, match=r"GAN takes no maps: load it from Python by that class"):
        lightning_gan.load(run)
    with pytest.raises(WeightsError, match="does not fit the networks"):
        lightning_gan.fit(Small(4), Points(8), tmp_path, "last", **quiet)
