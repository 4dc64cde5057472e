"""Runs the walks, and rewrites what docs/walks.md and docs/runs.md quote of them.

``python scripts/walks/quote.py [student] [researcher] [cluster] [seeds]`` takes some minutes.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGES = {
    ROOT / "docs" / "walks.md": ("student", "researcher", "cluster"),
    ROOT / "docs" / "runs.md": ("seeds",),
}
"""The walks that a page quotes, in its order."""
WALKS = tuple(walk for walks in PAGES.values() for walk in walks)
RECORDS = ROOT / "tests" / "docs" / "ring_runs.jsonl"
"""Records and last evaluations of the runs of seeds.sh, so that a test can list them again."""
BLOCK = re.compile(r"```text\n\$ ((?s:.*?))```\n")
"""A command with its output on the page."""
STEP = re.compile(r"^step '([^']*)'$", re.MULTILINE)
PATIENCE = 1800
"""Seconds that a walk may take; far more than on a quiet machine."""
UNSEEN = re.compile(
    r"(images|measuring|writing):? .*|This processor .*|-{20,}|Initializing distributed.*"
    r"|distributed_backend=.*"
    r"|All distributed processes.*|wandb: (WARNING|Tracking|View) .*|Restor(ed|ing) .* states? .*"
    r"|Restoring states.*"
)
"""Lines that the page leaves out: progress bars, and what Lightning and W&B say of themselves."""


def commands(walk: str) -> list[str]:
    """The commands that a walk shows, in their order."""
    return STEP.findall((HERE / f"{walk}.sh").read_text(encoding="utf-8"))


def programs(folder: Path) -> str:
    """A PATH on which ``lightning-gan`` and ``python`` are those of this interpreter."""
    folder.mkdir()
    for name, options in {"lightning-gan": "-m lightning_gan ", "python": ""}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {options}"$@"\n')
        (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def walked(walk: str, folder: Path) -> list[str]:
    """Runs a walk in a new folder; what each of its commands has printed.

    Raises:
        RuntimeError: If a command fails.
    """
    folder.mkdir()
    environment = os.environ | {
        "PATH": programs(folder / ".programs"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "LIGHTNING_GAN_CACHE": str(folder / ".cache"),
    }
    done = subprocess.run(
        ["bash", str(HERE / f"{walk}.sh")],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    if done.returncode:
        raise RuntimeError(f"{walk}.sh ends with {done.returncode}:\n{done.stdout}")
    rest, outputs = done.stdout, []
    for command in commands(walk):
        before, found, rest = rest.partition(f"\n$ {command}\n")
        assert found, command
        outputs.append(before)
    return [*outputs[1:], rest]


def seen(output: str) -> str:
    """What a terminal still shows, without what the page leaves out."""
    shown: list[str] = []
    for line in output.split("\n"):
        text = re.sub(r"\x1b\[\w+", "", line).rpartition("\r")[2].rstrip()
        if not UNSEEN.fullmatch(text.strip()):
            shown.append(text)
        else:
            while shown and not shown[-1]:  # a blank line before it
                shown.pop()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(shown)).strip("\n")


def quoted(page: str, walks: Sequence[str], outputs: dict[str, list[str]]) -> str:
    """A page that quotes these walks, with the outputs of those that were run."""
    found = iter([(walk, n) for walk in walks for n in range(len(commands(walk)))])

    def block(old: re.Match[str]) -> str:
        walk, number = next(found)
        if walk not in outputs:
            return old[0]
        text = f"{commands(walk)[number]}\n{seen(outputs[walk][number])}".rstrip()
        return f"```text\n$ {text}\n```\n"

    return BLOCK.sub(block, page)


def recorded(folder: Path) -> str:
    """Records and last evaluations of the runs in the folder of a walk, a line for each."""
    lines = []
    for run in sorted(folder.glob("runs/*/version_*")):
        last = (run / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()[-1]
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        content = {"folder": str(run.relative_to(folder)), "record": record}
        lines.append(json.dumps(content | {"evaluation": json.loads(last)}) + "\n")
    return "".join(lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as root:
        results = {walk: walked(walk, Path(root) / walk) for walk in sys.argv[1:] or WALKS}
        if "seeds" in results:
            RECORDS.write_text(recorded(Path(root) / "seeds"), encoding="utf-8")
    for place, walks in PAGES.items():
        page = place.read_text(encoding="utf-8")
        place.write_text(quoted(page, walks, results), encoding="utf-8")
