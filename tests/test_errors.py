"""One root of the errors that a user can mend, and one check of ranges."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import pytest

from lightning_gan import errors
from lightning_gan.callbacks import CollapseGuard
from lightning_gan.errors import (
    ConfigurationError,
    LightningGANError,
    above,
    at_least,
    at_most,
    below,
    check_range,
    one_of,
    sides,
    whole,
)
from lightning_gan.networks import MLPDiscriminator, MLPGenerator, Packed
from lightning_gan.objectives import NonSaturating, Unrolled
from lightning_gan.regularizers import R1, PathLength
from lightning_gan.training.schedule import PerBatch, Phases


class Some:
    """What has arguments."""


def test_every_error_of_the_package_has_the_one_root() -> None:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    own = [value for value in found if issubclass(value, Exception)]
    assert len(own) == 8  # with the warning
    assert all(issubclass(e, (LightningGANError, Warning)) for e in own)


@pytest.mark.parametrize("number", [0.1, 1, None, lambda images: -images])
def test_numbers_in_their_range_pass_and_so_do_curves(number: errors.Number) -> None:
    check_range(Some(), above(0), at_most(1), share=number, other=1)


@pytest.mark.parametrize(
    ("bounds", "number", "words"),
    [
        ([at_least(1)], 0, "share=0 must be at least 1"),
        ([above(0), at_most(1)], 0, "share=0 must be above 0 and at most 1"),
        ([at_least(0), below(1)], 1.0, "share=1.0 must be at least 0 and below 1"),
        ([at_most(0.5)], math.nan, "share=nan must be at most 0.5"),
        ([one_of(1, 3)], 2, "share=2 must be 1 or 3"),
        ([below(0.5)], math.inf, "share=inf must be below 0.5"),
    ],
)
def test_others_are_refused_by_class_and_name(
    bounds: list[errors.Bound], number: float, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"^Some: {words}\.$"):
        check_range(Some(), *bounds, share=number)
    with pytest.raises(ConfigurationError, match=rf"^widen: {words}\.$"):
        check_range("widen", *bounds, share=number)


@pytest.mark.parametrize("number", [1e39, -1e300])
def test_numbers_that_32_bits_do_not_hold_are_refused(number: float) -> None:
    with pytest.raises(ConfigurationError, match=r"Some: share=.* is larger than any number of 32"):
        check_range(Some(), at_least(-math.inf), share=number)
    check_range(Some(), at_least(0), share=math.inf, images=10**40)


@pytest.mark.parametrize("number", [1000, 1e3, np.int64(1000), np.float32(1000)])
def test_whole_numbers_of_any_type_become_ints(number: float) -> None:
    found = whole("GAN", "max_images", number)
    assert found == 1000
    assert type(found) is int
    assert whole("GAN", "max_images", None) is None


@pytest.mark.parametrize("number", [0.5, math.inf, math.nan])
def test_what_is_not_whole_is_refused(number: float) -> None:
    with pytest.raises(ConfigurationError, match=f"GAN: max_images={number} must be a whole numb"):
        whole("GAN", "max_images", number)


@pytest.mark.parametrize("size", [8, 8.0, np.int64(8), (8, 8), [8, np.float32(8)]])
def test_an_image_size_is_one_number_or_two_of_any_type(size: object) -> None:
    assert sides(Some(), size) == (8, 8)
    assert MLPGenerator(1, cast("int", size), width=4).image_size == 8


@pytest.mark.parametrize("size", ["8", None, 8.5, (8,), (8, 8, 8)])
def test_no_other_image_size_is_one(size: object) -> None:
    with pytest.raises(ConfigurationError, match="Some: image_size"):
        sides(Some(), size)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PerBatch(1.5),
        lambda: PerBatch(1, 1.5),
        lambda: Phases(1.5),
        lambda: Phases(1, 1.5),
        lambda: R1(every=1.5),
        lambda: Unrolled(NonSaturating(), 1.5),
        lambda: CollapseGuard(max_rollbacks=1.5),
        lambda: Packed(MLPDiscriminator(1, 8, width=4), 1.5),
        lambda: PathLength(one_in=1.5),
    ],
)
def test_counts_of_parts_are_whole(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match=r"=1.5 must be a whole number"):
        make()


def test_a_text_is_no_number() -> None:
    with pytest.raises(ConfigurationError, match="Some: rate='much' must be a number"):
        check_range(Some(), above(0), rate=cast("float", "much"))
