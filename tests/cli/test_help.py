"""Every help that there is: short, about this program, and without marks of markup."""

import inspect
import re

import pytest
from lightning.pytorch import Callback, Trainer
from torch.optim import Optimizer

from lightning_gan.cli import program
from lightning_gan.cli.choices import choices_for
from lightning_gan.cli.commands import FUNCTION_COMMANDS, TRAINER_COMMANDS
from lightning_gan.cli.everyday import MODEL, TRAINER
from lightning_gan.cli.help import _bases, help_text
from lightning_gan.cli.markup import plain
from lightning_gan.cli.options import RUN_OPTIONS
from lightning_gan.gan import GAN

MARKS = re.compile(
    r"``|`\w|:[a-z]+:`|^\s*\.\. |\\[a-zA-Z]+[{ ]|<class '|typing\.|Union\[|Literal\[", re.MULTILINE
)
"""What reStructuredText, LaTeX and Python's representations leave."""
BASES = _bases()
PARTS = [(flag, name) for flag, base in BASES.items() for name in choices_for(base)]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert program.run([*arguments]) == 0
    text = capsys.readouterr().out
    assert text
    assert not MARKS.search(text), MARKS.findall(text)
    return text


@pytest.mark.parametrize("command", TRAINER_COMMANDS)
def test_the_help_of_a_command_is_short_and_names_the_everyday_options(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = printed(capsys, command, "--help")
    assert text.startswith(f"usage: lightning-gan {command} ")
    assert text.count("\n") < 120
    for option in [*RUN_OPTIONS, "config", "ckpt_path", "seed_everything", "print_config"]:
        assert f"--{option} " in text or f"--{option}\n" in text, option
    assert printed(capsys, command, "-h") == text
    assert printed(capsys, command, "--config", "mlp_ring", "--help") == text


def test_the_everyday_options_exist() -> None:
    assert {name.rstrip("+") for name in MODEL} <= inspect.signature(GAN).parameters.keys()
    named = {re.split(r"[ +=]", option)[0].removeprefix("--trainer.") for option in TRAINER}
    assert named <= inspect.signature(Trainer).parameters.keys()


@pytest.mark.parametrize("command", FUNCTION_COMMANDS)
def test_the_help_of_a_function_says_what_its_options_take(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(capsys, command, "--help").startswith(f"usage: lightning-gan {command} ")


@pytest.mark.parametrize("flag", BASES)
def test_an_option_lists_what_there_is_to_choose_from(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(capsys, "fit", f"{flag}.help")
    if flag in ("--model", "--trainer"):
        assert f"  {flag}.max_" in text
    else:
        assert f"{flag}.help NAME" in text


@pytest.mark.parametrize(("flag", "name"), PARTS)
def test_a_part_explains_itself_without_marks(flag: str, name: str) -> None:
    text = help_text(["fit", f"{flag}.help", name]) or ""
    assert text.startswith(flag)
    base = BASES[flag]
    foreign = issubclass(base, (Callback, Optimizer)) or flag.startswith("--trainer")
    assert not MARKS.search(text), MARKS.findall(text)
    assert foreign or len(text.splitlines()) > 2


def test_all_options_of_the_trainer_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "fit", "--trainer.help")
    for name in inspect.signature(Trainer).parameters:
        assert f"--trainer.{name}" in text


def test_the_help_of_a_nested_part_has_no_marks(capsys: pytest.CaptureFixture[str]) -> None:
    outer = ["fit", "--model.objective", "TopK", "--model.objective.objective.help"]
    assert "margin" in printed(capsys, *outer, "Hinge")
    assert "Wasserstein" in printed(capsys, *outer)
    inside = ["fit", "--model.augmentation.sigma.help", "LinearCurve"]
    assert "--model.augmentation.sigma.start" in printed(capsys, *inside)


def test_the_data_of_evaluate_are_explained_as_those_of_fit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ([], ["MNIST"]):
        assert printed(capsys, "evaluate", "--data.help", *name) == help_text(
            ["fit", "--data.help", *name]
        )


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (r"at least ``n`` of :class:`~torch.nn.Linear`", "at least n of Linear"),
        (r"see :meth:`attach` and `the paper <https://x.org>`__.", "see attach and the paper."),
        (".. note:: Take care.", "Note: Take care."),
        (r":math:`\lambda\,\mathbb{E}\lVert z' - z\rVert^2`", "λE|z' - z|^2"),
        (".. math:: L = \\tfrac12\\mathbb{E}(r-b)^2\n    + 1\n", "L = 1/2 E(r-b)^2 + 1"),
        (r":math:`\{-4, -2\}^2`", "(-4, -2)^2"),
        (r":math:`\frac{a_{i j}}{\sqrt{n}}`", "((a_(i j)) / (sqrt(n)))"),
        (".. math::\n    \\begin{aligned}\n  x\n\n    \\end{aligned}\n\nAfter.", "After."),
        ("Example::\n\n    x", "Example:\n\n    x"),
    ],
)  # fmt: skip
def test_markup_becomes_plain_text(marked: str, expected: str) -> None:
    assert " ".join(plain(marked).split()) == " ".join(expected.split())
