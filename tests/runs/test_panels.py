"""Panels have the lines that there are, and none without."""

import pytest

from lightning_gan.runs.panels import Panel, all_panels, balance, distances, losses, modes


def test_a_run_without_values_has_no_panels() -> None:
    assert all_panels([]) == []
    assert all_panels(["epoch", "step"]) == []


def test_every_line_is_a_name_in_the_logs() -> None:
    names = {
        "loss/generator",
        "gan/d_real",
        "val/d_fake",
        "gan/acc_real",
        "fid/mnist_cnn",
        "fid/mnist_cnn_floor",
        "fid/inception_floor",
        "modes/mnist/covered",
        "coverage/mnist_cnn",
        "gradient_norm/generator",
        "penalty/R1",
        "penalty/LeCam",
        "state/ada_p",
        "learning_rate/generator",
        "progress/images_per_second",
    }
    panels = all_panels(names)
    assert {name for panel in panels for name in panel.lines.values()} == names
    assert len({panel.title for panel in panels}) == len(panels)


def test_scores_are_shown_where_there_are_no_probabilities() -> None:
    raw = ["gan/score_real", "gan/score_fake"]
    assert list(balance(raw).lines.values()) == raw
    assert balance(raw).level is None
    both = balance([*raw, "gan/d_real", "gan/d_fake"])
    assert list(both.lines.values()) == ["gan/d_real", "gan/d_fake"]
    assert both.level == 0.5


def test_distances_of_different_extractors_are_apart() -> None:
    names = ["fid/a", "fid/a_floor", "fid/a_debiased", "fid/b", "fid/b_floor"]
    assert [list(panel.among(names).lines.values()) for panel in distances(names)] == [
        ["fid/a", "fid/a_floor"],
        ["fid/b", "fid/b_floor"],
    ]


@pytest.mark.parametrize("panel", [losses(), balance([]), *distances([]), *modes([])])
def test_what_was_not_measured_has_a_title_all_the_same(panel: Panel) -> None:
    assert panel.title
    assert panel.among([]).lines == {}


def test_a_logarithmic_scale_is_for_positive_values_that_range_widely() -> None:
    panel = Panel("", {}, log=True)
    assert panel.is_logarithmic(0.1, 5)
    assert not panel.is_logarithmic(1, 5)
    assert not panel.is_logarithmic(0, 5)
    assert not panel.is_logarithmic(1e-320, 5)
    assert not Panel("", {}).is_logarithmic(0.1, 5)
