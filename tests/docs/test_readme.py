"""What the README shows is run."""

import re
import shlex
from pathlib import Path

import pytest
import torch
import yaml
from recipe_headers import has_run
from torch import Tensor

from lightning_gan.__main__ import main
from lightning_gan.callbacks import Evaluation
from lightning_gan.gan import GAN
from lightning_gan.recipes import recipe_names

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
SHELL = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
COMMANDS = [shlex.split(line, comments=True) for line in SHELL if "lightning-gan" in line]


@pytest.mark.parametrize(
    "command",
    [c for c in COMMANDS if ("fit" in c or "test" in c) and not c[-1].endswith("help")],
    ids=" ".join,
)
def test_every_command_of_the_readme_is_understood(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command[1:], "--print_config"]) == 0, capsys.readouterr().err
    assert "class_path: lightning_gan" in capsys.readouterr().out


def test_the_everyday_options_of_the_readme_are_understood(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = README[README.index("| for | options |") :].partition("\n\n")[0]
    options = re.findall(r"`(--[^`]+ [^`A-Z]+|--run_name NAME)`", table)
    assert len(options) == 11
    words = " ".join(options).split()
    assert main(["fit", "--config", "dcgan_mnist", *words, "--print_config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["trainer"]["default_root_dir"] == "/scratch/me/ring"
    assert printed["model"]["init_args"]["max_images"] == 300_000
    assert printed["model"]["init_args"]["generator_optimizer"]["init_args"]["lr"] == 1e-3


def test_every_script_of_the_readme_exists() -> None:
    scripts = re.findall(r"(?:bash|python) (scripts/[\w./]+)", README)
    assert {"scripts/quickstart.sh", "scripts/test.sh"} <= set(scripts)
    for script in scripts:
        assert (ROOT / script).is_file(), script


def test_every_picture_and_recipe_of_the_readme_exists() -> None:
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file(), picture
    for name in re.findall(r"--config (\w+)", README):
        assert name in recipe_names(), name


def test_every_recipe_stands_in_the_readme_or_in_the_table_that_it_names() -> None:
    table = ROOT / "docs" / "recipes.md"
    assert "(docs/recipes.md)" in README
    text = README + table.read_text(encoding="utf-8")
    for name in recipe_names():
        assert f"`{name}`" in text, f"neither the README nor {table} mentions the recipe {name}"


def test_the_first_line_counts_recipes_papers_and_runs() -> None:
    table = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    papers = set(re.findall(r"^\| `\w+` \| ([^|]+) \|", table, flags=re.MULTILINE))
    run = [name for name in recipe_names() if has_run(name)]
    said = " ".join(README.split("\n\n")[1].split())
    assert f"{len(recipe_names())} recipes from {len(papers)} papers, of which {len(run)} " in said


def test_the_readme_is_short_and_narrow() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 110


def test_every_page_that_the_readme_links_exists() -> None:
    for page in re.findall(r"\]\((docs/[\w.]+)\)", README):
        assert (ROOT / page).is_file(), page


PYTHON = [text for kind, text in BLOCKS if kind == "python"]


def run_python(source: str) -> dict[str, object]:
    names: dict[str, object] = {"Evaluation": Evaluation}
    exec(compile(source, "README", "exec"), names)
    return names


def test_the_python_of_the_readme_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_python(PYTHON[0])
    gan, images, sevens, digits = (names[name] for name in ("gan", "images", "sevens", "digits"))
    assert isinstance(gan, GAN)
    assert isinstance(images, Tensor)
    assert isinstance(sevens, Tensor)
    assert isinstance(digits, Tensor)
    assert images.shape == sevens.shape == (64, 1, 28, 28)
    assert torch.equal(sevens, gan.sample(64, 7))
    assert digits.shape == (10, 1, 28, 28)


def test_the_python_of_the_readme_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = PYTHON[1]
    assert "max_images=10_000" in source
    monkeypatch.chdir(tmp_path)
    assert 'Digits(), "runs/mine")' in source
    less = "limit_val_batches=1, enable_progress_bar=False, callbacks=[Evaluation(num_samples=50)]"
    short = source.replace("max_images=10_000", "max_images=128")
    short = short.replace('"runs/mine")', f'"runs/mine", accelerator="cpu", {less})')
    names = run_python(short)
    assert tuple(names["images"].shape) == (64, 1, 28, 28)  # type: ignore[attr-defined]
