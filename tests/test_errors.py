"""One root of the errors that a user can mend, and one check of ranges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lightning_gan import errors
from lightning_gan.errors import (
    ConfigurationError,
    LightningGANError,
    above,
    at_least,
    at_most,
    below,
    check_range,
    one_of,
    whole,
)


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
