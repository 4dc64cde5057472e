"""None where a value is needed is told by its name, in every part, data module and callback."""

import math
from collections.abc import Callable, Hashable
from dataclasses import InitVar, dataclass, field
from typing import Any, Final, Literal, NewType, Protocol, TypeVar

import pytest

from lightning_gan import GAN
from lightning_gan.augment import DiffAugment
from lightning_gan.basics.arguments import Checked
from lightning_gan.callbacks import CollapseGuard, SampleGrid
from lightning_gan.callbacks.base import GANCallback
from lightning_gan.datamodules import MNIST, ArrayFile, Digits, ImageFolder, Ring
from lightning_gan.errors import ConfigurationError
from lightning_gan.networks import MLPDiscriminator, MLPGenerator
from lightning_gan.objectives import Hinge, NonSaturating
from lightning_gan.regularizers import R1
from lightning_gan.training.schedule import CosineCurve, PerBatch

T = TypeVar("T")
Perhaps = NewType("Perhaps", object)


class Hashed(Protocol):
    """What None is, too, though nothing can tell when a program runs."""

    def __hash__(self) -> int: ...


def gan(**options: Any) -> GAN:
    return GAN(MLPGenerator(2, 0), MLPDiscriminator(2, 0), Hinge(), **options)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MNIST(root=None), "MNIST: root cannot be None: give a value or leave it out for"),
        (lambda: MNIST(val_size=None), "MNIST: val_size cannot be None"),
        (lambda: ImageFolder(root=None), "ImageFolder: root cannot be None: give a value."),
        (lambda: ImageFolder("x", val_fraction=None), "val_fraction cannot be None"),
        (lambda: ArrayFile("x", test_fraction=None), "test_fraction cannot be None"),
        (lambda: Ring(batch_size=None), "Ring: batch_size cannot be None"),
        (lambda: Digits(64, image_size=None), "leave it out for 28."),
        (lambda: R1(None), "R1: weight cannot be None"),
        (
            lambda: CosineCurve(None, 1, images=5),
            "CosineCurve: start cannot be None: give a value.",
        ),
        (lambda: PerBatch(None), "PerBatch: discriminator_updates cannot be None"),
        (lambda: DiffAugment(color=None), "DiffAugment: color cannot be None"),
        (lambda: MLPGenerator(width=None), "MLPGenerator: width cannot be None"),
        (lambda: NonSaturating(real_label=None), "real_label cannot be None"),
        (lambda: gan(accumulate=None), "GAN: accumulate cannot be None"),
        (lambda: SampleGrid(None), "SampleGrid: rows cannot be None"),
        (lambda: CollapseGuard(recover=None), "CollapseGuard: recover cannot be None"),
    ],
)
def test_none_where_a_value_is_needed_is_refused_by_name(
    make: Callable[[], object], said: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        make()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_none_passes_where_the_hint_takes_it_or_says_nothing() -> None:
    class Loose(Checked):
        def __init__(self, a: Any, b: object, c, d: int | None, e: T) -> None:  # type: ignore  # noqa
            self.given = (a, b, c, d, e)

    class Unreadable(Checked):
        def __init__(self, a: int, b: "Unknown") -> None:  # type: ignore[name-defined]  # noqa: F821
            self.given = (a, b)

    class Implicit(Checked):
        def __init__(self, a: int | str | None = None, *more: int, **others: int) -> None:
            self.a = a

    @dataclass
    class Plain(Checked):
        a: int | None
        b: float = 0.5
        c: dict[str, int] = field(default_factory=dict)

    assert Loose(None, None, None, None, None).given == (None,) * 5
    assert Unreadable(None, None).given == (None, None)  # type: ignore[arg-type]
    assert Implicit(None).a is None
    assert Implicit().a is None
    assert Plain(None).b == 0.5
    with pytest.raises(ConfigurationError, match="Plain: b cannot be None"):
        Plain(None, None)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"Plain: c cannot be None: give a value\.$"):
        Plain(None, c=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="missing"):
        Implicit.__init__()  # type: ignore[call-arg]


def test_none_passes_where_it_is_the_default_or_a_hint_may_mean_it() -> None:
    class Loose(Checked):
        def __init__(
            self,
            default: int = None,  # type: ignore[assignment]  # noqa: RUF013
            literal: Literal["a", None] = "a",
            new: Perhaps = Perhaps(1),
            abstract: Hashable = 1,
            protocol: Hashed = 1,
        ) -> None:
            self.given = (default, literal, new, abstract, protocol)

    class Told(Checked):
        def __init__(self, a: "how many there are" = 1) -> None:  # type: ignore  # noqa
            self.a = a

    @dataclass
    class Plain(Checked):
        a: InitVar[int | None] = 1
        b: Final[int | None] = 2

    assert Loose(*[None] * 5).given == (None,) * 5  # type: ignore[arg-type]
    assert Told(None).a is None
    assert Plain(None, None).b is None


def test_none_is_refused_by_literals_and_by_what_has_parameters() -> None:
    class Strict(Checked):
        def __init__(
            self,
            literal: Literal["a"] = "a",
            sizes: list[int] | tuple[int, ...] = (),
            make: Callable[[], int] = int,
        ) -> None:
            self.given = (literal, sizes, make)

    for name in ("literal", "sizes", "make"):
        with pytest.raises(ConfigurationError, match=f"Strict: {name} cannot be None"):
            Strict(**{name: None})  # type: ignore[arg-type]


def test_arguments_that_do_not_fit_are_pythons_own_affair() -> None:
    with pytest.raises(TypeError, match="unexpected keyword"):
        R1(wieght=None)  # type: ignore[call-arg]


@pytest.mark.parametrize("pair", [(1,), 5, (0, 1, 2), (1, 0), (0, math.inf), (None, 1), "ab"])
def test_two_numbers_that_are_no_range_are_refused(pair: Any) -> None:
    with pytest.raises(ConfigurationError, match="must be black, then white"):
        ImageFolder("x", levels=pair)
    with pytest.raises(ConfigurationError, match="must be the smallest value, then the largest"):
        ArrayFile("x", value_range=pair)


def test_arguments_of_a_class_that_has_none_are_refused_as_python_does() -> None:
    class Quiet(GANCallback):
        pass

    Quiet()
    with pytest.raises(TypeError, match="Quiet\\(\\) takes no arguments"):
        Quiet(every=5)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes no arguments"):
        Quiet(5)  # type: ignore[call-arg]


def test_a_class_that_is_made_by_another_has_its_arguments() -> None:
    class Cached:
        root: str

        def __new__(cls, root: str) -> "Cached":
            made = super().__new__(cls)
            made.root = root
            return made

    class Watching(GANCallback, Cached):
        def __init__(self, root: str) -> None:
            super().__init__()

    assert Watching("x").root == "x"
