"""Every help that there is: short, about this program, and without marks of markup."""

import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from lightning.pytorch import Callback, Trainer
from torch.optim import Optimizer

from lightning_gan.__main__ import main
from lightning_gan.cli import functions, outlines
from lightning_gan.cli.choices import choices_for
from lightning_gan.cli.commands import COMMANDS, FUNCTION_COMMANDS, TRAINER_COMMANDS
from lightning_gan.cli.documentation import documented
from lightning_gan.cli.everyday import MODEL, TRAINER
from lightning_gan.cli.help import _bases, help_text
from lightning_gan.cli.kinds import placeholder
from lightning_gan.cli.markup import plain
from lightning_gan.cli.options import RUN_OPTIONS
from lightning_gan.cli.outlines import outline
from lightning_gan.datamodules import RealData
from lightning_gan.gan import GAN
from lightning_gan.regularizers import Regularizer

MARKS = re.compile(
    r"``|`\w|:[a-z]+:`|^\s*\.\. |\\[a-zA-Z]+[{ ]|<class '|typing\.|Union\[|Literal\[", re.MULTILINE
)
"""What reStructuredText, LaTeX and Python's representations leave."""
HEAVY = ("torch", "torchvision", "lightning", "jsonargparse", "torchmetrics", "numpy")
BASES = _bases()
PARTS = [(flag, name) for flag, base in BASES.items() for name in choices_for(base)]


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments]) == 0
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


def test_a_help_is_printed_without_importing_what_takes_seconds() -> None:
    code = "import sys; from lightning_gan.__main__ import COMMANDS, main; "
    code += "asked = [['--help'], *([name, '--help'] for name in COMMANDS)]; "
    code += f"sys.exit(sum(map(main, asked)) or ', '.join({{*{HEAVY!r}}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.stdout.count("usage: lightning-gan") == 1 + len(COMMANDS)


@pytest.mark.parametrize("command", FUNCTION_COMMANDS)
def test_the_help_of_a_function_has_all_that_its_parser_takes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    function = vars(import_module(f"lightning_gan.cli.commands.{command}"))[command]
    text = printed(capsys, command, "--help")
    for action in functions._parser(function)._actions:
        if action.option_strings and action.dest not in ("help", "data.help"):
            assert f"  {action.option_strings[0]} " in text
        elif not action.option_strings:
            assert f"  {action.dest.upper()} " in text
    outlined = outline(function.__module__, command)
    assert documented(outlined) == documented(function)
    ours, theirs = inspect.signature(outlined), inspect.signature(function)
    for name, parameter in theirs.parameters.items():
        assert placeholder(ours.parameters[name].annotation) == placeholder(parameter.annotation)


@pytest.mark.parametrize("made", [GAN, RealData])
def test_the_outline_of_a_class_says_what_the_class_says(made: type) -> None:
    assert documented(outline(made.__module__, made.__name__)) == documented(made)


def test_an_outline_changes_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlines, "PACKAGE", tmp_path)
    file = tmp_path / "own.py"
    for default, text in ((1, "First."), (2, "Second.")):
        file.write_text(
            f"import torch\ndef own(*, n: int = {default}, where: Path = Path('a')) -> None:\n"
            f'    """Does.\n\n    Args:\n        n: {text}\n    """\n    raise ValueError\n'
            "from pathlib import Path\n"
        )
        said = documented(outline("lightning_gan.own", "own"))
        assert said == {"n": f"{text[:-1]} (default: {default}).", "where": "(default: a)"}


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


def test_a_class_that_was_derived_from_is_a_choice_still() -> None:
    class Derived(GAN):
        """A model of one's own."""

    assert {"GAN", "Derived"} <= choices_for(GAN).keys()
    assert "Regularizer" not in choices_for(Regularizer)
