"""A measure is found by what stands before its slash, and its best value is known."""

import pytest

from lightning_gan.errors import ConfigurationError
from lightning_gan.runs.measures import better, main_names, measure_called

NAMES = [
    *("eval/n", "fid/x", "fid/x_floor", "fid/x_debiased", "modes/ring/covered", "modes/ring/kl"),
    *("nn1/x_fake", "nn1/x_real", "vendi/x", "vendi/x_real"),
]


def test_values_beside_a_measure_are_not_measures() -> None:
    assert main_names(NAMES, "fid/") == ["fid/x"]
    assert main_names(NAMES, "vendi/") == ["vendi/x"]
    assert main_names(NAMES, "nn1/") == ["nn1/x_fake", "nn1/x_real"]


def test_a_measure_is_called_by_its_name_or_its_beginning() -> None:
    assert measure_called("fid", NAMES) == "fid/x"
    assert measure_called("fid/x_floor", NAMES) == "fid/x_floor"
    with pytest.raises(ConfigurationError, match="modes may be modes/ring/covered, modes/r"):
        measure_called("modes", NAMES)
    with pytest.raises(ConfigurationError, match=r"kid was not measured: there are fid/x, modes"):
        measure_called("kid", NAMES)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("fid/x", min),
        ("kid/x", min),
        ("modes/ring/kl", min),
        ("recall/x", max),
        ("is/mnist_cnn", max),
        ("modes/digits/covered", max),
        ("nn1/x_real", None),
        ("auth/x", None),
        ("dup/exact", min),
        ("dup/x_min_pair_ratio", None),
        ("is/mnist_cnn_std", None),
        ("modes/ring/std_ratio", None),
    ],
)
def test_what_is_best_depends_on_the_measure(name: str, function: object) -> None:
    assert better(name) is function
