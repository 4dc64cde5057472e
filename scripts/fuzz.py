"""Gives the program inputs that are wrong, and tells whether each is answered in a sentence.

An input is right, or ends with exit code 2 and one sentence: no traceback, nothing endless, no more
than 2 GB of memory, and every file that lay there before still there.

    python scripts/fuzz.py --inputs 1000 --seed 0 --table docs/fuzz.md
    python scripts/fuzz.py --inputs 1 --seed 417 --show     # one of them again

With ``--record FILE`` it goes on where it was stopped, and several calls can share the seeds.

What is tried is drawn from the seed by fuzz_inputs.py. To be quick, one parent imports everything
once and forks; every twentieth command line runs as a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import resource
import shlex
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import checkout  # noqa: F401 - finds the package
import torch
from fuzz_inputs import FIRST, KINDS, Input, build_files, parsers
from provenance import commit
from tqdm import tqdm

from lightning_gan.__main__ import main as program
from lightning_gan.basics.texts import printable
from lightning_gan.errors import LightningGANError, said

SECONDS = 90.0
"""What an input may take before it counts as endless; the time of trainings is limited to 20."""
MEMORY = 2 * 2**30
"""Bytes that an input may take."""
WHOLE = 20
"""Of so many command lines one is a whole process."""
ERROR = "lightning-gan: error: "
TRIED = "tried.txt"
BEFORE = "before.json"
SAID = "said.txt"


class Answer(NamedTuple):
    """How the program answered an input."""

    seed: int
    kind: str
    tried: str
    fault: str
    """What is wrong with the answer; empty if it is a right one."""
    refused: bool
    seconds: float
    memory: int


def become(seed: int, folder: Path, world: Path) -> None:
    """Turns a forked process into one input; never returns."""
    code = 70
    try:
        shutil.copytree(world, folder / "here", symlinks=True)
        os.chdir(folder / "here")
        with (folder / SAID).open("w") as said_here:
            for stream in (1, 2):
                os.dup2(said_here.fileno(), stream)
        os.setpgid(0, 0)
        os.environ["LIGHTNING_GAN_CACHE"] = str(folder / "cache")
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**30, 2**30))
        order = random.Random(seed)
        given = drawn(order)
        (folder / BEFORE).write_text(json.dumps(lying(Path())))
        (folder / TRIED).write_text(f"{int(given.wrong)}{given.tried}", "utf-8", "backslashreplace")
        code = answered(given, whole=seed % WHOLE == 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def drawn(order: random.Random) -> Input:
    """The input of a seed."""
    kind = order.choices([*KINDS], [*KINDS.values()])[0]
    return kind(order)


def kind_of(seed: int) -> str:
    """What kind of input a seed draws."""
    return random.Random(seed).choices([*KINDS], [*KINDS.values()])[0].__name__


def answered(given: Input, whole: bool) -> int:
    """Gives the input to the program; returns the exit code."""
    if callable(given.run):
        try:
            given.run()
        except LightningGANError as error:
            sys.stderr.write(f"{ERROR}{said(error)}.\n")
            return 2
        return 0
    if whole:
        words = [sys.executable, "-m", "lightning_gan", *given.run]
        os.execv(sys.executable, [word.replace("\0", "") for word in words])
    sys.argv = ["lightning-gan", *given.run]
    return program(given.run)


def give(seed: int, world: Path, folder: Path) -> Answer:
    """Forks a process for the input of a seed, and judges its answer."""
    folder.mkdir()
    began = time.monotonic()
    number = os.fork()
    if number == 0:
        become(seed, folder, world)
    code: int | None = None
    while time.monotonic() - began < SECONDS:
        ended, status, used = os.wait4(number, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.01)
    else:
        os.killpg(number, signal.SIGKILL)
        _, _, used = os.wait4(number, 0)
    text = (folder / SAID).read_text("utf-8", "replace")
    drawn_as = (folder / TRIED).read_text("utf-8") if (folder / TRIED).is_file() else "0?"
    wrong, tried = drawn_as[0] == "1", drawn_as[1:]
    memory = used.ru_maxrss * 1024
    fault = judged(code, text, wrong, memory) or (lost(folder) if code == 2 else "")
    seconds = time.monotonic() - began
    return Answer(seed, kind_of(seed), tried, fault, code == 2, seconds, memory)


def judged(code: int | None, text: str, wrong: bool, memory: int) -> str:
    """What is wrong with an answer; empty if nothing is."""
    lines = text.strip().splitlines()
    errors = [line for line in lines if line.startswith(ERROR)]
    if code is None:
        return f"endless; last: {lines[-1:]}"
    if memory > MEMORY:
        return f"{memory / 2**30:.1f} GB of memory"
    if "Traceback (most recent call last)" in text:
        return f"traceback: {lines[-1]}"
    if "\x1b" in text:
        return "terminal escapes"
    if code == 0:
        return "wrong, but taken" if wrong else ""
    if code != 2 or len(errors) != 1:
        return f"exit code {code}, {len(errors)} sentences; last: {lines[-1:]}"
    sentence = errors[0].removeprefix(ERROR)
    if not sentence.endswith((".", "?", "!")) or re.search(
        r"<class |typing\.|\bargparse", sentence
    ):
        return f"no sentence: {sentence}"
    return ""


def lying(here: Path) -> dict[str, int]:
    """The files that lie in a folder, with the sizes of those that nobody may write again."""
    kept = (".ckpt", ".yaml", ".jpg", ".gif")
    return {
        str(path.relative_to(here)): path.stat().st_size if path.suffix in kept else 0
        for path in here.rglob("*")
        if path.is_file() and path.name != "run.lock"
    }


def lost(folder: Path) -> str:
    """Names what lay there when the input was given and has gone or changed since."""
    before = json.loads((folder / BEFORE).read_text()) if (folder / BEFORE).is_file() else {}
    after = lying(folder / "here")
    gone = sorted(name for name, size in before.items() if after.get(name) != size)
    return f"lost or changed: {', '.join(gone[:3])}" if gone else ""


@contextmanager
def scratch(keep: str | None) -> Iterator[Path]:
    """A folder for the inputs, removed at the end unless it was asked for."""
    folder = Path(keep or tempfile.mkdtemp(prefix="fuzz_")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def build(folder: Path) -> None:
    """Makes the small world in a process of its own."""
    folder.mkdir()
    build_files(folder)
    for line in FIRST:
        number = os.fork()
        if number == 0:
            os.chdir(folder)
            sys.argv = ["lightning-gan", *shlex.split(line)]
            os._exit(program(shlex.split(line)))
        _, status = os.waitpid(number, 0)
        if status:
            raise SystemExit(f"fuzz: the world could not be built: {line}")


def recorded(path: Path | None) -> list[Answer]:
    """The answers of earlier calls."""
    if path is None or not path.is_file():
        return []
    return [Answer(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def report(answers: list[Answer], words: list[str]) -> str:
    """The table, with what it was made with."""
    seconds = sum(answer.seconds for answer in answers)
    lines = [
        "# Inputs that are wrong",
        "",
        f"`python scripts/fuzz.py {shlex.join(words)}` at commit {commit()}, in {seconds:.0f} s on "
        f"{os.cpu_count()} cores ({platform.machine()}), with torch {torch.__version__} and Python "
        f"{platform.python_version()}.",
        "",
        "| kind of input | inputs | worked | refused | at fault | slowest, s | most, GB |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in [*(kind.__name__ for kind in KINDS), "all"]:
        of = [answer for answer in answers if kind in (answer.kind, "all")]
        if not of:
            continue
        faults = sum(bool(answer.fault) for answer in of)
        refused = sum(answer.refused and not answer.fault for answer in of)
        lines.append(
            f"| {kind.replace('_', ' ')} | {len(of)} | {len(of) - faults - refused} | {refused} | "
            f"{faults} | {max(answer.seconds for answer in of):.0f} | "
            f"{max(answer.memory for answer in of) / 2**30:.1f} |"
        )
    lines += ["", *(row(answer) for answer in answers if answer.fault), ""]
    return "\n".join(lines)


def row(answer: Answer) -> str:
    """A fault as a line of a list."""
    fault = " ".join(printable(answer.fault).split())[:300]
    return f"* seed {answer.seed}, {answer.kind}: `{printable(answer.tried)[:200]}`: {fault}"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--inputs", type=int, default=1000, help="How many.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the first; they count up.")
    parser.add_argument(
        "--table", type=Path, help="File to write the table to, besides showing it."
    )
    parser.add_argument(
        "--record", type=Path, help="File of a line for each input; what stands there is not tried."
    )
    parser.add_argument("--folder", help="Where the inputs are written and kept.")
    parser.add_argument("--show", action="store_true", help="Show what the program says to each.")
    parser.add_argument("--kind", help="Only the inputs of this kind.")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    seeds = range(arguments.seed, arguments.seed + arguments.inputs)
    answers = [answer for answer in recorded(arguments.record) if answer.seed in seeds]
    known = {answer.seed for answer in answers}
    chosen = [seed for seed in seeds if arguments.kind in (None, kind_of(seed))]
    chosen = [seed for seed in chosen if seed not in known]
    with scratch(arguments.folder) as folder:
        world = folder / "world"
        if chosen and not world.is_dir():
            build(world)
        parsers()  # once, for all that are forked
        for seed in tqdm(chosen, desc="fuzz", unit="input", disable=len(chosen) == 1):
            place = folder / f"input_{seed}"
            shutil.rmtree(place, ignore_errors=True)
            answer = give(seed, world, place)
            answers.append(answer)
            if arguments.record:
                with arguments.record.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(answer._asdict()) + "\n")
            if arguments.show:
                sys.stdout.write(f"{answer}\n{(place / SAID).read_text('utf-8', 'replace')}\n")
            if answer.fault:
                tqdm.write(row(answer), file=sys.stdout)
            if not arguments.folder or not answer.fault:
                shutil.rmtree(place, ignore_errors=True)
    text = report(answers, words)
    if arguments.table:
        arguments.table.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    counted = Counter(bool(answer.fault) for answer in answers)
    sys.stdout.write(f"{len(answers)} inputs, {counted[True]} at fault\n")
    return int(counted[True] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
