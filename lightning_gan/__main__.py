"""The command ``lightning-gan``; what needs no training is answered before torch is imported."""

import os
import sys
from pathlib import Path

from lightning_gan import __version__
from lightning_gan.basics.memory import keep_freed_memory
from lightning_gan.basics.waiting import choose_waiting
from lightning_gan.cli.commands import COMMANDS
from lightning_gan.cli.usage import command_help, program_help

HELP = {"-h", "--help"}


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    is_program = arguments is None
    arguments = sys.argv[1:] if arguments is None else arguments
    if sys.stdout is None:  # it was closed before the start
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (to the end)
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # who reads it, such as head, has seen enough
            return 0
        sys.stderr.write(
            f"lightning-gan: error: the answer cannot be written ({error.strerror}).\n"
        )
        return 1
    asks = any(a.endswith("help") or a.startswith(("-h", "--print_config")) for a in arguments)
    if is_program and asks:  # tearing torch down would take another second
        os._exit(code)
    return code


def _run(arguments: list[str]) -> int:
    command, *_ = arguments or ["--help"]
    asks = not HELP.isdisjoint([command, *arguments])
    if command in ("-V", "--version"):
        sys.stdout.write(f"lightning-gan {__version__}\n")
        return 0
    if asks and (command in COMMANDS or command.startswith("-")):
        sys.stdout.write(command_help(command) if command in COMMANDS else program_help())
        return 0
    choose_waiting()
    keep_freed_memory()
    from lightning_gan.cli.program import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
