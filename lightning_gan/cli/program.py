"""From a command line to an exit code."""

import importlib
import os
import sys
import time
from pathlib import Path

from lightning_gan.basics.texts import folded, printable
from lightning_gan.basics.words import unknown
from lightning_gan.cli.arguments import (
    at_home,
    check_values,
    in_plain_form,
    run_name,
    with_default_networks,
    with_recipes,
)
from lightning_gan.cli.commands import COMMANDS, FUNCTION_COMMANDS
from lightning_gan.cli.functions import run_function
from lightning_gan.errors import DivergenceError, LightningGANError, ProcessLostError, said
from lightning_gan.runs.lock import release

PATIENCE = 10.0
"""Seconds in which the process that started this one ends, where both fail alike."""


def run(arguments: list[str]) -> int:
    """Runs the command line; returns the exit code, 2 where the user can mend something."""
    parent = os.getppid()
    if str(Path.cwd()) not in sys.path:  # parts of one's own may lie where the command is given
        sys.path.append(str(Path.cwd()))
    try:
        _run(arguments)
    except SystemExit as end:  # help was shown, or a signal has come
        return int(end.code or 0)
    except KeyboardInterrupt:  # before or after the training, which has its own way to stop
        sys.stderr.write("lightning-gan: Stopped by a signal; nothing was being trained.\n")
        return 130
    except Exception as error:
        known = _mendable(error)
        if known is None:
            raise
        if not _is_said(known, parent):
            name = f"{run_name(arguments)}: " if isinstance(known, DivergenceError) else ""
            sentence = printable(said(known))  # whatever a file that it quotes holds
            mark = "" if sentence.endswith(("?", "!")) else "."
            message = f"lightning-gan: error: {name}{sentence}{mark}"
            sys.stderr.write(folded(message, sys.stderr) + "\n")
        return 2
    finally:
        release()
    return 0


def _is_said(error: Exception, parent: int) -> bool:
    """Whether the process that started this one for its training has ended, and has said why.

    Where this one has lost it, it had no time to.
    """
    if "lightning" not in sys.modules or isinstance(error, ProcessLostError):
        return False
    from lightning_gan.callbacks.preemption import is_helper

    until = time.monotonic() + PATIENCE
    while is_helper() and time.monotonic() < until:
        if os.getppid() != parent:
            return True
        time.sleep(0.1)
    return False


def _mendable(error: Exception) -> Exception | None:
    """What a user can mend; None for a defect of ours."""
    if "lightning" not in sys.modules and isinstance(error, LightningGANError):
        return error
    from lightning_gan.cli.failures import mendable  # which knows what torch and Lightning raise

    return mendable(error)


def _run(arguments: list[str]) -> None:
    """Imports what a command needs, and no more: torch and Lightning take seconds."""
    arguments = in_plain_form(at_home(arguments))
    command = arguments[0]
    check_values(arguments)
    if any(argument.partition("=")[0].endswith(".help") for argument in arguments):
        from lightning_gan.cli.help import help_text

        if (text := help_text(arguments)) is not None:
            sys.stdout.write(text)
            return
    if command in FUNCTION_COMMANDS:
        module = importlib.import_module(f"lightning_gan.cli.commands.{command}")
        if "lightning" in sys.modules:
            _silence_lightning()
        run_function(getattr(module, command), arguments[1:])
    elif command not in COMMANDS and not command.startswith("-"):
        raise unknown("command", command, COMMANDS)
    else:
        from lightning_gan.callbacks.preemption import ignore_further_signals
        from lightning_gan.cli.training import CLI

        _silence_lightning()
        # Lightning starts further processes with sys.argv, so they must see the same.
        sys.argv[1:] = with_default_networks(with_recipes(arguments))
        with ignore_further_signals():
            CLI(sys.argv[1:])


def _silence_lightning() -> None:
    from lightning_gan.callbacks.fitting import silence_lightning

    silence_lightning()
